"""A recording: its content decides how it is read, and reading holds nothing longer than needed."""

import gc
import gzip
import io
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.media_files import tone
from tests.support.recordings import decode, encode_as, opened, refusal
from tests.support.sound import murmur, wav
from transcription.audio.pcm import BYTES_PER_SECOND


def test_the_content_decides_the_format_and_never_the_name() -> None:
    class Named(io.BytesIO):
        name = "playlist.m3u8"

    content = encode_as("mp3")
    recording = opened(content, Named(content))
    assert recording.format.startswith("mp3 / mp3")
    recording.close()


@pytest.mark.parametrize("name", ["wav 16 bit 44.1 kHz", "m4a"])
def test_a_file_compressed_with_gzip_is_refused_with_the_remedy(name: str) -> None:
    assert "Upload the recording uncompressed" in refusal(gzip.compress(encode_as(name)))


def test_plain_wav_needs_no_decoder() -> None:
    script = (
        "import io, sys; from transcription.audio.recording import open_recording; c = sys.stdin.buffer.read();"
        "r = open_recording(io.BytesIO(c), len(c), None, None); print(r.format, sum(map(len, r.blocks())))"
    )
    content = wav(murmur(0.5))
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "wav / pcm_s16le, 16000 Hz, 1 channel 16000"


def test_audio_without_length_has_no_samples() -> None:
    for rate in (16_000, 44_100):
        recording, samples = decode(wav(b"", rate=rate))
        assert len(samples) == 0
        assert recording.damage is None


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_only_samples_that_are_there_count_for_the_length_of_a_wav_file(rate: int) -> None:
    content = wav(murmur(2, rate), rate=rate, claimed=3 * 3600 * 2 * rate)
    for limit in (1.9, 2.1):
        with closing(opened(content)) as recording:
            assert recording.exceeds(limit) is (limit < 2)


@pytest.mark.parametrize("end", ["close the iterator", "close the recording", "read to the end"])
def test_the_file_is_released_however_reading_ends(end: str) -> None:
    class Watched(io.BytesIO):
        """A file that can have weak references."""

    content = encode_as("m4a", tone(5))
    file = Watched(content)
    watch = weakref.ref(file)
    recording = opened(content, file)
    blocks = recording.blocks()
    assert len(next(blocks))
    if end == "read to the end":
        assert list(blocks)
    elif end == "close the iterator":
        assert isinstance(blocks, Iterator)
        blocks.close()  # type: ignore[attr-defined]
    else:
        recording.close()
    assert not file.closed
    del file, recording, blocks
    gc.collect()
    assert watch() is None


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def megabytes(minutes: int) -> tuple[float, float]:
        """Return the peaks of the app's process and of its decoder."""
        path.write_bytes(wav(b"\x55\xd5" * (4000 * 60 * minutes), rate=8000, bits=8, tag=7))
        done = subprocess.run([sys.executable, "-c", PEAKS, path], capture_output=True, check=True, timeout=60)
        pcm_bytes, *kilobytes = map(int, done.stdout.split())
        assert pcm_bytes == minutes * 60 * BYTES_PER_SECOND
        app, decoder = kilobytes
        return app / 1024, decoder / 1024

    path = tmp_path / "long.wav"
    short, long = megabytes(1), megabytes(20)
    assert long[0] < short[0] + 8
    assert long[1] < short[1] + 8


PEAKS = """
import os, sys
from transcription.audio.decoders import Decoders
from transcription.audio.recording import open_recording

def peak(process):
    lines = open(f"/proc/{process}/status").readlines()
    return next(line.split()[1] for line in lines if line.startswith("VmHWM"))

decoders, size = Decoders(), os.path.getsize(sys.argv[1])
with open(sys.argv[1], "rb") as file:
    recording = open_recording(file, size, decoders, lambda: None)
    print(sum(map(len, recording.blocks())))
children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
print(peak("self"), max(map(peak, children), key=int))
decoders.close()
"""
