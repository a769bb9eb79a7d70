"""The file that libav reads: it seeks like any other, and gives no more bytes than a recording needs."""

import io

import pytest

from transcription.audio.messages import MOST_READ_BYTES
from transcription.audio.source_file import STEP_BYTES, SourceFile


def source(content: bytes) -> SourceFile:
    return SourceFile(lambda position, length: content[position : position + length], len(content))


def test_it_reads_and_seeks_like_a_file() -> None:
    file = source(b"0123456789")
    assert (file.read(4), file.tell()) == (b"0123", 4)
    assert (file.seek(2, io.SEEK_CUR), file.read(9)) == (6, b"6789")
    assert (file.seek(-1, io.SEEK_END), file.read(9)) == (9, b"9")
    assert file.seek(-1) == -1
    assert file.read(1) == b""
    assert not file.exceeded


def test_the_head_is_read_without_moving() -> None:
    file = source(b"0123456789" * 3)
    file.seek(20)
    assert (file.head, file.tell()) == (b"0123456789012345", 20)


def read_all(file: SourceFile, size: int) -> int:
    """Return how many of `size` bytes the file gives."""
    given = 0
    while given < size and (block := file.read(size - given)):
        given += len(block)
    return given


def test_one_packet_gets_no_more_than_a_step() -> None:
    file = source(bytes(2 * STEP_BYTES))
    assert read_all(file, 2 * STEP_BYTES) == STEP_BYTES
    assert file.exceeded


def test_each_packet_may_read_a_step() -> None:
    file = source(bytes(2 * STEP_BYTES))
    for _ in range(2):
        file.begin_packet()
        assert read_all(file, STEP_BYTES) == STEP_BYTES
    assert not file.exceeded


@pytest.mark.parametrize("before", [0, 100, MOST_READ_BYTES - 2, MOST_READ_BYTES - 1])
def test_a_fragment_is_noticed_wherever_it_begins(before: int) -> None:
    file = source(bytes(before) + b"moof" + bytes(100))
    assert not file.fragmented
    read_all(file, before + 104)
    assert file.fragmented


def test_a_file_without_fragments_is_not_fragmented() -> None:
    file = source(b"moo" + b"f" * 3 + b"moo")
    file.seek(6)
    file.read(3)
    file.seek(3)  # the tag does not span reads of different places
    file.read(1)
    assert not file.fragmented
