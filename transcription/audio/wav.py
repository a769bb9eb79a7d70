"""Reads WAV files that are already 16 kHz mono 16-bit PCM, so that nothing has to be decoded.

The standard library's `wave` does not fit: it rejects WAVE_FORMAT_EXTENSIBLE, and it believes the sizes of 0 or
0xFFFFFFFF that streaming recorders write.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from transcription.audio.damage import ends_early
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.source_file import SeekableFile

READ_BYTES = 256 * 1024
LONGEST_FORMAT_CHUNK = 1024  # bytes that are read of one; real ones have at most 40
MOST_CHUNKS = 100  # before the audio; recorders write a handful
OPEN_SIZE = 0x7FF0_0000  # bytes; streaming recorders declare this much or more because they cannot know the size
PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE  # format tags


@dataclass(frozen=True)
class _Format:
    """The contents of a format chunk."""

    tag: int
    channels: int
    rate: int
    bits: int

    @property
    def needs_no_decoding(self) -> bool:
        return (self.tag, self.channels, self.rate, self.bits) == (PCM, 1, SAMPLE_RATE, 8 * SAMPLE_BYTES)

    @property
    def byte_rate(self) -> int:
        """Return the bytes of a second, or 0 if it varies. The header's own number may be wrong: no decoder uses it."""
        if self.tag in (PCM, FLOAT):
            return self.rate * self.channels * ((self.bits + 7) // 8)
        return self.rate * self.channels if self.tag in (A_LAW, MU_LAW) else 0


@dataclass(frozen=True)
class _Audio:
    """The position of the samples. `declared_size` is None if the recorder left it open."""

    format: _Format
    start: int
    declared_size: int | None


class WavRecording:
    """A Recording whose samples are in the file as they are needed."""

    format = f"wav / pcm_s16le, {SAMPLE_RATE} Hz, 1 channel"

    def __init__(self, file: SeekableFile, start: int, size: int, missing: int) -> None:
        self._file, self._start, self._size = file, start, size
        seconds, missing_seconds = size / BYTES_PER_SECOND, missing / BYTES_PER_SECOND
        self.duration: float | None = seconds
        self.damage: str | None = None
        self.gaps: tuple[tuple[float, float], ...] = ()
        if missing:
            self.damage = ends_early(seconds, seconds + missing_seconds)
            self.gaps = ((seconds, missing_seconds),)

    def blocks(self) -> Iterator[bytes]:
        """Yield 16 kHz mono s16le samples in blocks of up to READ_BYTES."""
        self._file.seek(self._start)
        remaining = self._size
        while remaining and (block := self._file.read(min(READ_BYTES, remaining))):
            remaining -= len(block)
            yield block

    def exceeds(self, seconds: float) -> bool:
        return self._size > seconds * BYTES_PER_SECOND

    def close(self) -> None:
        """Do nothing: there is no decoder, and the file is the caller's."""


def open_wav(file: SeekableFile, size: int) -> WavRecording | None:
    """Return the recording in a file of `size` bytes, or None if it is not 16 kHz mono 16-bit PCM WAV."""
    audio = _find_audio(file, size)
    if not audio or not audio.format.needs_no_decoding:
        return None
    available = size - audio.start
    declared = available if audio.declared_size is None else audio.declared_size
    present = min(declared, available)
    return WavRecording(file, audio.start, present - present % SAMPLE_BYTES, declared - present)


def declared_seconds(file: SeekableFile, size: int) -> float | None:
    """Return the duration that a WAV file of any PCM format declares. None if it declares none or is no such file."""
    audio = _find_audio(file, size)
    if not audio or audio.declared_size is None:
        return None
    return audio.declared_size / audio.format.byte_rate if audio.format.byte_rate else None


def _find_audio(file: SeekableFile, size: int) -> _Audio | None:
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    sample_format: _Format | None = None
    for name, start, length in _chunks(file, size):
        if name == b"fmt ":
            sample_format = _parse_format(file.read(min(length, LONGEST_FORMAT_CHUNK)))
        elif name == b"data":
            finished = struct.unpack("<I", head[4:8])[0] + 8 == size  # by the recorder, so 0 really means no audio
            declared_size = length if (length or finished) and length < OPEN_SIZE else None
            return _Audio(sample_format, start, declared_size) if sample_format else None
    return None


def _chunks(file: SeekableFile, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start, length) of each chunk. The caller may read from `start`. The file may lie about lengths."""
    position = 12
    for _ in range(MOST_CHUNKS):
        if position + 8 > size:
            return
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        position += 8
        yield name, position, length
        position += length + length % 2  # chunks are padded to even lengths


def _parse_format(chunk: bytes) -> _Format | None:
    if len(chunk) < 16:
        return None
    tag, channels, rate, bits = struct.unpack("<HHI6xH", chunk[:16])
    if tag == EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])  # the first field of the GUID that replaces the tag
    return _Format(tag, channels, rate, bits)
