"""The file that libav reads: it never sees an error, and gets no more time or bytes than a recording needs."""

import io
import time
from itertools import count

import av
import numpy as np
import pytest

from tests.support.recordings import SPEECH, encode_as
from transcription.audio.guarded_file import CPU_SECONDS_PER_SECOND, INITIAL_CPU_SECONDS, STEP_BYTES, GuardedFile
from transcription.audio.recording import open_recording
from transcription.errors import UploadReplaced


class ReplacedUpload(io.BytesIO):
    """An upload that is replaced after a number of reads."""

    def __init__(self, content: bytes, reads: int) -> None:
        super().__init__(content)
        self.reads_left = reads
        self.error = UploadReplaced("replaced")

    def read(self, size: int | None = -1) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise self.error
        return super().read(size)


def guarded(content: bytes) -> GuardedFile:
    return GuardedFile(io.BytesIO(content), len(content))


def test_it_reads_and_seeks_like_the_file() -> None:
    file = guarded(b"0123456789")
    assert (file.read(4), file.tell()) == (b"0123", 4)
    assert (file.seek(2, io.SEEK_CUR), file.read(9)) == (6, b"6789")
    assert (file.seek(-1, io.SEEK_END), file.read(9)) == (9, b"9")
    assert file.seek(-1) == -1
    assert not file.exceeded


def test_an_error_looks_like_the_end_of_the_file_until_it_is_checked() -> None:
    upload = ReplacedUpload(b"0123456789", reads=1)
    file = GuardedFile(upload, 10)
    assert file.read(4) == b"0123"
    file.check()
    assert file.read(4) == b""
    assert file.seek(0) == -1
    with pytest.raises(UploadReplaced) as raised:
        file.check()
    assert raised.value is upload.error


def test_one_packet_cannot_read_more_than_a_step() -> None:
    file = guarded(bytes(2 * STEP_BYTES))
    assert file.begin_packet(0.0)
    assert len(file.read(2 * STEP_BYTES)) == STEP_BYTES + 1
    assert file.read(1) == b""
    assert file.exceeded


def test_each_packet_may_read_a_step() -> None:
    file = guarded(bytes(2 * STEP_BYTES))
    for _ in range(2):
        assert file.begin_packet(0.0)
        assert len(file.read(STEP_BYTES)) == STEP_BYTES
    assert not file.exceeded


@pytest.mark.parametrize(("decoded_seconds", "allowed"), [(0.0, False), (20.0, True)])
def test_cpu_time_is_limited_by_the_audio_that_came_of_it(
    decoded_seconds: float, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = INITIAL_CPU_SECONDS + 10 * CPU_SECONDS_PER_SECOND
    ticks = count(0.0, used)
    monkeypatch.setattr(time, "thread_time", lambda: next(ticks))
    file = guarded(b"0123456789")
    with file.measuring_cpu_time():
        pass
    assert file.begin_packet(decoded_seconds) is allowed
    assert file.exceeded is not allowed


@pytest.mark.parametrize(("each_pass", "allowed"), [(8.0, True), (400.0, False)])
def test_two_passes_share_the_cpu_time_of_the_audio(
    each_pass: float, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count(0.0, each_pass)
    monkeypatch.setattr(time, "thread_time", lambda: next(ticks))
    file = guarded(b"0123456789")
    two_hours = 2 * 3600.0
    with file.measuring_cpu_time():
        pass
    assert file.begin_packet(two_hours)
    file.rewind()
    assert file.begin_packet(0.0), "two hours take more than the initial CPU time"
    with file.measuring_cpu_time():
        pass
    assert file.begin_packet(two_hours) is allowed


def test_a_rewound_file_is_read_from_its_beginning() -> None:
    file = guarded(b"0123456789")
    assert file.read(4) == b"0123"
    file.rewind()
    assert (file.tell(), file.read(4)) == (0, b"0123")


def test_time_outside_the_measurement_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    file = guarded(b"0123456789")
    with file.measuring_cpu_time():
        pass
    monkeypatch.setattr(time, "thread_time", lambda: 1e6)
    assert file.begin_packet(0.0)


@pytest.mark.parametrize("name", ["m4a", "mp3", "webm with opus", "ogg with opus", "flac", "wav 24 bit", "mpeg-ts"])
def test_an_error_of_the_upload_passes_through_the_decoder_unchanged(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = encode_as(name, np.tile(SPEECH, 8))
    for reads in (*range(8), 12, 16):
        file = ReplacedUpload(content, reads)
        try:
            list(open_recording(file, len(content)).blocks())
        except UploadReplaced as error:
            assert error is file.error  # noqa: PT017  # some formats need fewer reads than that
        else:
            assert file.reads_left >= 0
    assert av.open(io.BytesIO(content)).streams.audio, "no error was left behind for others"
    assert capfd.readouterr().err == ""
