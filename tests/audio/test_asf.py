"""The length that an ASF file declares."""

import io
import struct

import pytest

from tests.support.recordings import SECONDS, encode_as
from transcription.audio.asf import FILE_PROPERTIES, declared_seconds

WMA = encode_as("wma")


def changed(offset: int, value: bytes) -> bytes:
    """Return the file with a field of its file properties changed."""
    start = WMA.index(FILE_PROPERTIES) + offset
    return WMA[:start] + value + WMA[start + len(value) :]


@pytest.mark.parametrize("content", [WMA, WMA[: len(WMA) // 2]], ids=["whole", "cut off"])
def test_the_declared_length_is_read_from_the_header(content: bytes) -> None:
    assert declared_seconds(io.BytesIO(content)) == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    "content",
    [changed(88, struct.pack("<I", 3)), changed(64, bytes(8)), WMA[:100], b"OggS" + WMA[4:], b""],
    ids=["broadcast", "length 0", "no properties", "another format", "empty"],
)
def test_a_file_may_declare_no_length(content: bytes) -> None:
    assert declared_seconds(io.BytesIO(content)) is None
