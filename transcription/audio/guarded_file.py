"""What stands between the decoder and the upload: it keeps reading within bounds, and errors as they were."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from transcription.audio.index_limits import IndexLimits

STEP_BYTES = 32 << 20  # read for one packet, or to find the audio; headers and cover art take a few MiB
FIRST_SECONDS = 3.0  # of CPU time, to begin with
SECONDS_PER_SECOND = 0.1  # of CPU time for each second of audio; what is usual takes a hundredth of it


class GuardedFile:
    """A file for libav, which gets the end of the file instead of any error.

    An exception from a read would be raised by PyAV later, at times in another call than the one that met it, and be
    printed if a second one followed; so it is kept here until `check`. Time is the CPU time of the thread that
    decodes: a slow network is no sign of a hostile file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.exceeded = False
        self._file, self._size = file, size
        self._position = 0
        self._error: BaseException | None = None
        self._index_limits = IndexLimits(file, size)
        self._step = 0
        self._used = 0.0
        self._since: float | None = None
        self._allowed = FIRST_SECONDS

    def read(self, size: int) -> bytes:
        if self._error or self._position >= self._size or not self.within_bounds():
            return b""
        try:
            self._file.seek(self._position)
            block = self._file.read(min(size, STEP_BYTES + 1 - self._step))
            self.exceeded = not self._index_limits.bounded(block, self._position)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller: see check()
            self._error = error
        if self._error or self.exceeded:
            return b""
        self._step += len(block)
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new position, or -1, which is an error to libav. Only reads move in the file itself."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0 or self._error or not self.within_bounds():
            return -1
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    @property
    def head(self) -> bytes:
        """The file's first bytes, by which some kinds are known."""
        self._file.seek(0)
        return self._file.read(16)

    def check(self) -> None:
        """Raises what reading raised."""
        if self._error:
            raise self._error

    @property
    def fragmented(self) -> bool:
        """Whether it is an MP4 file in fragments, which says no more than how long the first of them is."""
        return self._index_limits.fragments

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Counts the CPU time of what is within."""
        self._since = time.thread_time()
        try:
            yield
        finally:
            self._used += time.thread_time() - self._since
            self._since = None

    def next_step(self, decoded_seconds: float) -> bool:
        """Begins the next packet, when so much audio has been made of those before; whether there is time for it."""
        self._index_limits.opening = False
        self._step = 0
        self._allowed = FIRST_SECONDS + SECONDS_PER_SECOND * decoded_seconds
        return self.within_bounds()

    def within_bounds(self) -> bool:
        used = self._used + (time.thread_time() - self._since if self._since is not None else 0.0)
        if self._step > STEP_BYTES or used > self._allowed:
            self.exceeded = True
        return not self.exceeded
