"""A recording: its content decides how it is read, and reading holds nothing longer than needed."""

import gc
import gzip
import io
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.media_files import tone
from tests.support.recordings import decode, encode_as, refusal
from tests.support.sound import murmur, wav
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.audio.recording import open_recording


def test_the_content_decides_the_format_and_never_the_name() -> None:
    class Named(io.BytesIO):
        name = "playlist.m3u8"

    content = encode_as("mp3")
    recording = open_recording(Named(content), len(content))
    assert recording.format.startswith("mp3 / mp3")
    recording.close()


@pytest.mark.parametrize("name", ["wav 16 bit 44.1 kHz", "m4a"])
def test_a_file_compressed_with_gzip_is_refused_with_the_remedy(name: str) -> None:
    assert "Upload the recording uncompressed" in refusal(gzip.compress(encode_as(name)))


def test_plain_wav_needs_no_decoder() -> None:
    script = (
        "import io, sys; from transcription.audio.recording import open_recording; c = sys.stdin.buffer.read();"
        "r = open_recording(io.BytesIO(c), len(c)); print(r.format, sum(map(len, r.blocks())), 'av' in sys.modules)"
    )
    content = wav(murmur(0.5))
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "wav / pcm_s16le, 16000 Hz, 1 channel 16000 False"


def test_audio_without_length_has_no_samples() -> None:
    for rate in (16_000, 44_100):
        recording, samples = decode(wav(b"", rate=rate))
        assert len(samples) == 0
        assert recording.damage is None


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_only_samples_that_are_there_count_for_the_length_of_a_wav_file(rate: int) -> None:
    content = wav(murmur(2, rate), rate=rate, claimed=3 * 3600 * 2 * rate)
    recording = open_recording(io.BytesIO(content), len(content))
    assert recording.exceeds(1.9)
    assert not open_recording(io.BytesIO(content), len(content)).exceeds(2.1)


@pytest.mark.parametrize("end", ["close the iterator", "close the recording", "read to the end"])
def test_the_file_is_released_however_reading_ends(end: str) -> None:
    class Watched(io.BytesIO):
        """A file that can have weak references."""

    content = encode_as("m4a", tone(5))
    file = Watched(content)
    watch = weakref.ref(file)
    recording = open_recording(file, len(content))
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
    def megabytes(minutes: int) -> float:
        script = (
            "import io, sys; from transcription.audio.recording import open_recording; f = open(sys.argv[1], 'rb');"
            "size = f.seek(0, 2); n = sum(map(len, open_recording(f, size).blocks()));"
            "print(n, next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
        )
        path.write_bytes(wav(b"\x55\xd5" * (4000 * 60 * minutes), rate=8000, bits=8, tag=7))
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=True, timeout=60)
        pcm_bytes, kilobytes = map(int, done.stdout.split())
        assert pcm_bytes == minutes * 60 * BYTES_PER_SECOND
        return kilobytes / 1024

    path = tmp_path / "long.wav"
    assert megabytes(20) < megabytes(1) + 8
