"""Recordings of every format → the same samples; errors of the upload come through; nothing is left behind."""

import gc
import io
import struct
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.media_files import MEDIA, RATE, encoded, hum
from tests.support.recordings import FILES, FORMATS, SPEECH, assert_speech, level, made, recorded, refused
from tests.support.sound import chunk, murmur, wav
from transcription.audio.recording import open_recording
from transcription.errors import UploadReplaced


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_speech_comes_out_of_every_format(name: str) -> None:
    recording, samples = recorded(made(name))
    assert_speech(samples)
    assert recording.damage is None
    assert level(samples) == pytest.approx(level(SPEECH), rel=0.1)


@pytest.mark.parametrize(("ending", "at_least"), FILES.items())
def test_the_same_speech_comes_out_of_what_telephones_write(ending: str, at_least: float) -> None:
    recording, samples = recorded((MEDIA / f"weather.{ending}").read_bytes())
    assert_speech(samples, at_least)
    assert recording.damage is None


@pytest.mark.parametrize("name", ["weather-gsm.wav", "weather-speex.ogg"])
def test_old_speech_codecs_are_taken(name: str) -> None:
    _, samples = recorded((MEDIA / name).read_bytes())
    assert_speech(samples, 0.75)


def test_the_document_is_told_the_format_in_words() -> None:
    recording, _ = recorded(made("m4a", hum(1)))
    assert recording.format == "mov,mp4 / aac, 44100 Hz, 1 channel"
    assert recording.duration == pytest.approx(1, abs=0.05)


def test_an_mp4_with_its_index_in_front_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "front.m4a"
    path.write_bytes(made("m4a"))
    with av.open(str(path)) as source, av.open(str(tmp_path / "f.mp4"), "w", options={"movflags": "faststart"}) as copy:
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    content = (tmp_path / "f.mp4").read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")
    assert_speech(recorded(content)[1])


def test_the_content_decides_and_never_the_name() -> None:
    class Named(io.BytesIO):
        name = "playlist.m3u8"

    content = made("mp3")
    recording = open_recording(Named(content), len(content))
    assert recording.format.startswith("mp3 / mp3")
    recording.close()


def test_an_mp3_with_tags_and_a_picture_in_front_is_taken() -> None:
    picture = b"\0image/png\0\3\0" + b"\x89PNG\r\n\x1a\n" + bytes(200_000)
    frames = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    length = bytes((len(frames) >> shift) & 127 for shift in (21, 14, 7, 0))
    assert_speech(recorded(b"ID3\3\0\0" + length + frames + made("mp3"))[1])


def test_a_title_that_is_no_utf8_does_no_harm() -> None:
    content = encoded(SPEECH, "ipod", "aac", rate=44100, metadata={"title": "Wetterbericht"})
    assert_speech(recorded(content.replace(b"Wetterbericht", b"W\xe4tt\xffrbericht"))[1])


def test_a_video_without_sound_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24").reformat(format="yuv420p")
        output.mux(stream.encode(frame) + stream.encode(None))
    assert "has no audio" in refused(file.getvalue())


def test_plain_wav_comes_as_it_is_and_without_the_decoder() -> None:
    script = (
        "import io, sys; from transcription.audio.recording import open_recording; c = sys.stdin.buffer.read();"
        "r = open_recording(io.BytesIO(c), len(c)); print(r.format, sum(map(len, r.blocks())), 'av' in sys.modules)"
    )
    content = wav(murmur(0.5))
    done = subprocess.run([sys.executable, "-c", script], input=content, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == "wav / pcm_s16le, 16000 Hz, 1 channel 16000 False"


@pytest.mark.parametrize(
    "content",
    [
        wav(murmur(0.5), extensible=True),
        wav(murmur(0.5), before=chunk(b"LIST", b"INFOISFT\4\0\0\0abcd") + chunk(b"bext", bytes(603))),
        wav(murmur(0.5), claimed=0),
        wav(murmur(0.5), claimed=0xFFFFFFFF),
        wav(murmur(0.5), claimed=0x7FFFFFFF - 36),
        wav(murmur(0.5), after=chunk(b"LIST", b"INFO")),
        wav(murmur(0.5) + b"\1", claimed=0),
    ],
    ids=["extensible", "chunks before", "size 0", "size -1", "size left open", "chunks behind", "half a sample"],
)
def test_odd_wav_headers_do_no_harm(content: bytes) -> None:
    recording, samples = recorded(content)
    assert samples.astype(np.int16).tobytes() == murmur(0.5)
    assert recording.damage is None


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_wav_that_was_cut_gives_what_is_there_and_says_so(rate: int) -> None:
    content = wav(murmur(2, rate), rate=rate)
    recording, samples = recorded(content[: len(content) // 2])
    assert len(samples) / RATE == pytest.approx(1, abs=0.01)
    assert "the file ends at 1.0 s" in str(recording.damage)


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_a_wav_of_another_rate_may_leave_its_size_open(claimed: int) -> None:
    recording, samples = recorded(wav(murmur(2, 8000), rate=8000, claimed=claimed))
    assert len(samples) / RATE == pytest.approx(2, abs=0.01)
    assert recording.damage is None


def test_audio_of_no_length_has_no_samples() -> None:
    for rate in (16_000, 44_100):
        recording, samples = recorded(wav(b"", rate=rate))
        assert len(samples) == 0
        assert recording.damage is None


class Breaking(io.BytesIO):
    """An upload that is replaced once it was read from so often."""

    def __init__(self, content: bytes, reads: int) -> None:
        super().__init__(content)
        self.left = reads
        self.error = UploadReplaced("replaced")

    def read(self, size: int | None = -1) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().read(size)


@pytest.mark.parametrize("name", ["m4a", "mp3", "webm with opus", "ogg with opus", "flac", "wav 24 bit", "mpeg-ts"])
def test_an_error_of_the_upload_comes_through_as_it_was(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    content = made(name, np.tile(SPEECH, 8))
    for reads in (*range(8), 12, 16):
        file = Breaking(content, reads)
        try:
            list(open_recording(file, len(content)).blocks())
        except UploadReplaced as error:
            assert error is file.error  # noqa: PT017  # it need not come with every number of reads
        else:
            assert file.left >= 0
    assert av.open(io.BytesIO(content)).streams.audio, "no error was left behind for others"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("end", ["close the iterator", "close the recording", "read to the end"])
def test_whoever_stops_releases_the_file(end: str) -> None:
    class Watched(io.BytesIO):
        """One that can be referred to weakly."""

    content = made("m4a", hum(5))
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
        samples, kilobytes = map(int, done.stdout.split())
        assert samples == minutes * 60 * RATE * 2
        return kilobytes / 1024

    path = tmp_path / "long.wav"
    assert megabytes(20) < megabytes(1) + 8
