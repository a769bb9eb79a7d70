"""The file that libav reads in a decoder process. Its content comes from the app."""

import io
from collections.abc import Callable
from typing import Protocol

from transcription.audio.messages import MOST_READ_BYTES

STEP_BYTES = 32 << 20  # per packet, and for finding the audio; headers and cover art take a few MiB
TAG = b"moof"  # begins each fragment of a fragmented MP4 file

ReadAt = Callable[[int, int], bytes]


class SeekableFile(Protocol):
    """A file that is read from any position."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position, and return it."""


class SourceFile:
    """A seekable file for libav, which gets no more bytes than a recording needs.

    exceeded: a packet needed more, and libav saw the end of the file instead.
    fragmented: the bytes read so far hold a fragment of an MP4 file. It declares the length of its first one only.
    """

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self.exceeded = False
        self.fragmented = False
        self._read_at, self._size = read_at, size
        self._position = 0
        self._step_bytes = 0
        self._tail = b""  # of the last read; a tag may span two
        self._tail_end = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes. None at the end of the file, or beyond the limit."""
        size = min(size, MOST_READ_BYTES, self._size - self._position)
        if size <= 0 or not self._allows(size):
            return b""
        tail = self._tail if self._position == self._tail_end else b""
        block = self._read_at(self._position, size)
        self.fragmented = self.fragmented or TAG in tail + block
        self._tail, self._tail_end = block[1 - len(TAG) :], self._position + len(block)
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Return the new position, or -1, which libav takes for an error."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            return -1
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    @property
    def head(self) -> bytes:
        """Return the file's first bytes, which identify some formats."""
        return self._read_at(0, 16)

    def begin_packet(self) -> None:
        """Reset the byte count for the next packet."""
        self._step_bytes = 0

    def _allows(self, size: int) -> bool:
        self._step_bytes += size
        self.exceeded = self.exceeded or self._step_bytes > STEP_BYTES
        return not self.exceeded
