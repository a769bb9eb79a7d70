"""A recording that a decoder process decodes, seen from the app."""

import io
import json
import struct
from collections.abc import Sequence
from contextlib import closing

import av
import numpy as np
import pytest

from tests.support.recordings import SPEECH, encode_as, opened
from transcription.audio import decoders as module
from transcription.audio import messages
from transcription.audio.decoders import Decoder, Decoders, GaveUp
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


@pytest.mark.parametrize("name", ["m4a", "mp3", "webm with opus", "ogg with opus", "flac", "wav 24 bit", "mpeg-ts"])
def test_an_error_of_the_upload_passes_through_unchanged(name: str) -> None:
    content = encode_as(name, np.tile(SPEECH, 8))
    for reads in (1, 2, 3, 7, 16):
        file = ReplacedUpload(content, reads)
        try:
            list(opened(content, file).blocks())
        except UploadReplaced as error:
            assert error is file.error  # noqa: PT017  # some formats need fewer reads than that
        else:
            assert file.reads_left >= 0
    assert av.open(io.BytesIO(content)).streams.audio, "the file itself is fine"


def test_a_long_file_is_read_in_parts() -> None:
    sizes: list[int] = []

    class Measured(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            sizes.append(size or 0)
            return super().read(size)

    content = encode_as("wav stereo", np.tile(SPEECH, 20))
    list(opened(content, Measured(content)).blocks())
    assert max(sizes) <= messages.MOST_READ_BYTES
    assert sum(sizes) < 1.2 * len(content) + 100_000


class Puppet(Decoder):
    """A decoder process that says what the test wants."""

    def __init__(self, says: Sequence[tuple[bytes, bytes]]) -> None:
        lines = ";".join(f"c.send_bytes({kind + content!r})" for kind, content in says)
        start = "import time; from multiprocessing.connection import Connection; c = Connection(0)"
        super().__init__(f"{start}; {lines}; time.sleep(60)")


READY = (messages.READY, b"")
FORMAT = (messages.FORMAT, json.dumps({"format": "wav / x", "duration": None}).encode())


@pytest.mark.parametrize(
    "nonsense",
    [
        (messages.NEED, b"12"),
        (messages.FORMAT, b"{}"),
        (messages.FORMAT, b'{"format": 1, "duration": []}'),
        (messages.FORMAT, b"[" * 100_000),
        (messages.END, b"\xff"),
        (messages.END, b'{"damage": null, "gaps": [[1]]}'),
        (messages.END, b'{"damage": null, "gaps": 7}'),
        (messages.END, b'{"damage": null, "gaps": [[-5, 1]]}'),
        (messages.END, b'{"damage": null, "gaps": [[0, NaN]]}'),
        (messages.FORMAT, b'{"format": "x", "duration": 1' + b"0" * 400 + b"}"),
        (b"?", b""),
    ],
)
def test_a_decoder_that_makes_no_sense_is_not_believed(nonsense: tuple[bytes, bytes]) -> None:
    with pytest.raises(GaveUp, match="makes no sense"):
        decode_with_puppet([READY, FORMAT, nonsense])


def test_a_decoder_that_sends_samples_of_no_format_is_not_believed() -> None:
    with pytest.raises(GaveUp, match="makes no sense"):
        decode_with_puppet([READY, (messages.SAMPLES, bytes(100)), FORMAT])


def decode_with_puppet(says: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    content = encode_as("wav stereo")
    with closing(Decoders(lambda: Puppet(says))) as decoders:
        return list(open_recording(io.BytesIO(content), len(content), decoders, lambda: None).blocks())


def test_a_decoder_that_asks_for_more_than_the_file_has_gets_nothing() -> None:
    beyond = (messages.NEED, struct.pack("<QQ", (1 << 64) - 1, 1 << 40))
    end = (messages.END, b'{"damage": null, "gaps": []}')
    assert decode_with_puppet([READY, FORMAT, beyond, end]) == []


def test_a_decoder_that_asks_and_does_not_read_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MESSAGE_SECONDS", 1)
    more = (messages.NEED, struct.pack("<QQ", 0, 1 << 40))
    with pytest.raises(GaveUp, match="does not read"):
        decode_with_puppet([READY, FORMAT, *[more] * 50])


def test_a_decoder_that_stops_in_the_middle_of_a_message_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MESSAGE_SECONDS", 1)
    half = "import os, time; from multiprocessing.connection import Connection; c = Connection(0)"
    program = f"{half}; c.send_bytes(b'Y'); os.write(0, bytes([0, 0])); time.sleep(60)"
    content = encode_as("wav stereo")
    with closing(Decoders(lambda: Decoder(program))) as decoders, pytest.raises(GaveUp, match="middle of an answer"):
        open_recording(io.BytesIO(content), len(content), decoders, lambda: None)


def test_a_format_that_is_no_text_is_not_believed() -> None:
    with pytest.raises(GaveUp, match="makes no sense"):
        decode_with_puppet([READY, (messages.FORMAT, b'{"format": "\\ud800", "duration": null}')])
