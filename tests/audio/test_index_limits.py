"""The count of index entries that a file makes libav allocate."""

import io
import struct

import pytest

from tests.support.media_files import box, file_box, mp4
from tests.support.recordings import decode
from transcription.audio.index_limits import MAX_ENTRIES, IndexLimits
from transcription.audio.pcm import SAMPLE_RATE


def sample_sizes(samples: int) -> bytes:
    return file_box(b"stsz", struct.pack(">II", 1, samples))


def run(samples: int) -> bytes:
    return file_box(b"trun", struct.pack(">I", samples))


TOO_MANY = sample_sizes(MAX_ENTRIES + 1)


def allows(content: bytes, limits: IndexLimits | None = None) -> bool:
    limits = limits or IndexLimits(io.BytesIO(content), len(content))
    return limits.allow(content, 0)


def test_a_table_with_too_many_samples_is_not_allowed() -> None:
    assert allows(sample_sizes(MAX_ENTRIES))
    assert not allows(TOO_MANY)


def test_the_tables_of_a_file_are_added_up() -> None:
    assert allows(sample_sizes(MAX_ENTRIES // 2) * 2)
    assert not allows(sample_sizes(MAX_ENTRIES // 2 + 1) * 2)


@pytest.mark.parametrize("split", range(1, len(TOO_MANY)))
def test_a_table_that_spans_two_reads_is_found(split: int) -> None:
    limits = IndexLimits(io.BytesIO(TOO_MANY), len(TOO_MANY))
    assert limits.allow(TOO_MANY[:split], 0)
    assert not limits.allow(TOO_MANY[split:], split)


def test_a_table_near_the_end_of_a_read_is_counted_once() -> None:
    table = sample_sizes(MAX_ENTRIES // 2 + 1)
    limits = IndexLimits(io.BytesIO(table + bytes(100)), len(table) + 100)
    assert limits.allow(table, 0)
    assert limits.allow(bytes(100), len(table))


def test_bytes_of_audio_that_look_like_a_table_are_not_counted() -> None:
    limits = IndexLimits(io.BytesIO(TOO_MANY), len(TOO_MANY))
    limits.reading_header = False
    assert allows(TOO_MANY, limits)


def test_runs_count_in_fragmented_files_only() -> None:
    assert allows(run(MAX_ENTRIES + 1))
    assert not allows(box(b"moof") + run(MAX_ENTRIES + 1))


def test_a_fragment_is_noticed() -> None:
    limits = IndexLimits(io.BytesIO(), 0)
    assert not limits.fragmented
    limits.allow(box(b"moof"), 0)
    assert limits.fragmented


def test_a_compressed_index_is_not_allowed() -> None:
    assert not allows(box(b"cmov", box(b"dcom", b"zlib")))


@pytest.mark.parametrize(("riff", "byte_order"), [(b"RIFF", "<"), (b"RIFX", ">")])
def test_a_title_of_two_gigabytes_is_not_allowed(riff: bytes, byte_order: str) -> None:
    def title(length: int) -> bytes:
        return riff + bytes(8) + b"LIST" + struct.pack(byte_order + "I", length) + b"INFO"

    assert allows(title(100))
    assert not allows(title(1 << 31))


def test_a_long_uncompressed_mov_is_allowed() -> None:
    samples = MAX_ENTRIES + 1_000_000
    _, decoded = decode(mp4(codec=b"sowt", samples=samples, sample_bytes=2, duration=1, sound=bytes(2 * samples)))
    assert len(decoded) / SAMPLE_RATE == pytest.approx(samples / 44100, abs=0.1)
