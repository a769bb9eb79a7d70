"""The limits that a decoder process sets for itself. What a recording notices of them is in test_decoders.py."""

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.recordings import decoder_processes, encode_as
from transcription.audio.child import CPU_SECONDS, MEMORY_BYTES, NICENESS
from transcription.audio.decoders import Decoders
from transcription.audio.recording import open_recording


@pytest.fixture(scope="module")
def proc() -> Iterator[Path]:
    """Yield the kernel's folder of a decoder that has opened a file."""
    content, before = encode_as("m4a"), set(decoder_processes())
    with (
        closing(Decoders()) as decoders,
        closing(open_recording(io.BytesIO(content), len(content), decoders, lambda: None)),
    ):
        first = min(set(decoder_processes()) - before)
        yield Path(f"/proc/{first}")


def limit(proc: Path, name: str) -> tuple[str, str]:
    """Return the soft and the hard limit of this name."""
    (line,) = [line for line in (proc / "limits").read_text().splitlines() if line.startswith(name)]
    soft, hard, *_ = line.removeprefix(name).split()
    return soft, hard


def test_it_can_open_no_more_files(proc: Path) -> None:
    assert limit(proc, "Max open files") == ("0", "0")


def test_it_leaves_no_core_dump(proc: Path) -> None:
    assert limit(proc, "Max core file size") == ("0", "0")


def test_its_memory_is_limited_for_good(proc: Path) -> None:
    soft, hard = limit(proc, "Max data size")
    assert soft == hard
    assert MEMORY_BYTES < int(soft) < MEMORY_BYTES + (128 << 20)


def test_an_endless_loop_ends_even_without_the_app(proc: Path) -> None:
    assert CPU_SECONDS <= int(limit(proc, "Max cpu time")[0]) < CPU_SECONDS + 60


def test_it_is_nice_to_the_app(proc: Path) -> None:
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    assert int(fields[16]) == NICENESS
