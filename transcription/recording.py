"""A recording's bytes → 16 kHz mono 16-bit samples, flowing.

So far only recordings that are such samples already, in a WAV file, are taken, and of at most one request's length.
The standard library's `wave` is no help: it refuses WAVE_FORMAT_EXTENSIBLE and believes the sizes that streaming
recorders leave at 0 or 0xFFFFFFFF.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from transcription.encoding import SAMPLE_BYTES, SAMPLE_RATE
from transcription.errors import UnsupportedAudio

READ_BYTES = 256 * 1024
LONGEST_HEADER_CHUNK = 1024  # bytes; a format chunk has at most 40
MOST_CHUNKS = 100  # before the audio; recorders write a handful
_PCM, _EXTENSIBLE = 1, 0xFFFE


@dataclass(frozen=True)
class Recording:
    """`format` in words for the document; `size` is the audio's bytes, as far as the file's own sizes can be
    believed.
    """

    format: str
    file: BinaryIO
    start: int
    size: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.size / SAMPLE_BYTES / SAMPLE_RATE

    def blocks(self) -> Iterator[bytes]:
        """16 kHz mono s16le samples in pieces of up to READ_BYTES."""
        self.file.seek(self.start)
        left = self.size
        while left and (block := self.file.read(min(READ_BYTES, left))):
            left -= len(block)
            yield block


def open_recording(file: BinaryIO, size: int) -> Recording:
    """Finds the audio in `file`, which has `size` bytes. UnsupportedAudio: not a WAV file of 16 kHz mono 16-bit PCM."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise UnsupportedAudio(f"This is not a WAV file. {_WANTED}")
    layout: tuple[int, int, int, int] | None = None
    for name, start, length in _chunks(file, size):
        if name == b"fmt ":
            layout = _layout(file.read(min(length, LONGEST_HEADER_CHUNK)))
        elif name == b"data" and layout:
            return Recording(_checked(layout), file, start, _whole_samples(length, size - start))
    raise UnsupportedAudio(f"The WAV file holds no audio, or ends before it. {_WANTED}")


_WANTED = "Upload 16 kHz mono 16-bit PCM WAV of at most a minute."


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


def _layout(chunk: bytes) -> tuple[int, int, int, int]:
    """(format tag, channels, sample rate, bits) of a format chunk; an extensible one hides its tag in a GUID."""
    if len(chunk) < 16:
        raise UnsupportedAudio(f"The WAV file's header is damaged. {_WANTED}")
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack("<H", chunk[24:26])
    return tag, channels, rate, bits


def _checked(layout: tuple[int, int, int, int]) -> str:
    tag, channels, rate, bits = layout
    found = f"wav / {'pcm' if tag == _PCM else f'format {tag}'}, {rate} Hz, {channels} channels, {bits} bit"
    if layout != (_PCM, 1, SAMPLE_RATE, 8 * SAMPLE_BYTES):
        raise UnsupportedAudio(f"This recording is {found}. {_WANTED}")
    return f"wav / pcm_s16le, {rate} Hz, 1 channel"


def _whole_samples(claimed: int, there: int) -> int:
    """The audio's bytes: what the header claims, unless a recorder that streamed left it open or the file ends
    before.
    """
    size = there if claimed == 0 else min(claimed, there)
    return size - size % SAMPLE_BYTES
