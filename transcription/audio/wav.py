"""16 kHz mono 16-bit PCM in a WAV file: what the service takes, so there is nothing to decode.

The standard library's `wave` is no help: it refuses WAVE_FORMAT_EXTENSIBLE and believes the sizes that streaming
recorders leave at 0 or 0xFFFFFFFF.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

READ_BYTES = 256 * 1024
LONGEST_HEADER_CHUNK = 1024  # bytes; a format chunk has at most 40
MOST_CHUNKS = 100  # before the audio; recorders write a handful
LEFT_OPEN = 0x7FF0_0000  # bytes; recorders that stream claim this much or more, since they cannot know
_PCM, _EXTENSIBLE = 1, 0xFFFE
_CONSTANT_RATE = {_PCM, 3, 6, 7}  # 3 is floating point, 6 A-law, 7 µ-law
_WANTED = (_PCM, 1, SAMPLE_RATE, 8 * SAMPLE_BYTES)


class WavRecording:
    """A Recording whose samples lie in the file as they are needed."""

    format = f"wav / pcm_s16le, {SAMPLE_RATE} Hz, 1 channel"

    def __init__(self, file: BinaryIO, start: int, size: int, missing: int) -> None:
        self._file, self._start, self._size = file, start, size
        self.duration: float | None = _seconds(size)
        self.damage: str | None = None
        self.lost: tuple[tuple[float, float], ...] = ()
        if missing:
            self.lost = ((_seconds(size), _seconds(missing)),)
            self.damage = f"the file ends at {_seconds(size):.1f} s, {_seconds(missing):.1f} s before its audio does"

    def blocks(self) -> Iterator[bytes]:
        """16 kHz mono s16le samples in pieces of up to READ_BYTES."""
        self._file.seek(self._start)
        left = self._size
        while left and (block := self._file.read(min(READ_BYTES, left))):
            left -= len(block)
            yield block

    def close(self) -> None:
        """Nothing to release: the file is the caller's."""


def open_wav(file: BinaryIO, size: int) -> WavRecording | None:
    """The recording in `file`, of `size` bytes, or None where it is anything but 16 kHz mono 16-bit PCM WAV."""
    found = _find_audio(file, size)
    if not found or found.layout != _WANTED:
        return None
    there = size - found.start
    audio = there if found.claimed is None else min(found.claimed, there)
    missing = 0 if found.claimed is None else found.claimed - audio
    return WavRecording(file, found.start, audio - audio % SAMPLE_BYTES, missing)


def declared_seconds(file: BinaryIO, size: int) -> float | None:
    """How long a WAV file of any PCM says that it is; None where it does not, or is something else."""
    found = _find_audio(file, size)
    if not found or found.layout[0] not in _CONSTANT_RATE or found.claimed is None or not found.byte_rate:
        return None
    return found.claimed / found.byte_rate


@dataclass(frozen=True)
class _Audio:
    """The chunk with the samples. `layout` is (format tag, channels, sample rate, bits); `claimed` is the size that it
    says it has, None where the recorder left that open.
    """

    layout: tuple[int, int, int, int]
    byte_rate: int
    start: int
    claimed: int | None


def _find_audio(file: BinaryIO, size: int) -> _Audio | None:
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    found: _Audio | None = None
    for name, start, length in _chunks(file, size):
        if name == b"fmt ":
            found = _layout(file.read(min(length, LONGEST_HEADER_CHUNK)))
        elif name == b"data":
            closed = struct.unpack("<I", head[4:8])[0] + 8 == size  # then it was finished, and 0 means no audio
            claimed = length if (length or closed) and length < LEFT_OPEN else None
            return replace(found, start=start, claimed=claimed) if found else None
    return None


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, length) of each chunk; the caller may read from `start` on. Lengths are the file's own claim."""
    position = 12
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        position += 8
        yield name, position, length
        position += length + length % 2  # chunks are padded to even lengths


def _layout(chunk: bytes) -> _Audio | None:
    """What a format chunk says; an extensible one hides its tag in a GUID."""
    if len(chunk) < 16:
        return None
    tag, channels, rate, byte_rate, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])
    return _Audio((tag, channels, rate, bits), byte_rate, 0, None)


def _seconds(size: int) -> float:
    return size / SAMPLE_BYTES / SAMPLE_RATE
