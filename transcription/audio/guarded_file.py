"""The file that FFmpeg's libraries read: limits on what one upload may cost, and its errors kept intact."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from transcription.audio.index_limits import IndexLimits

STEP_BYTES = 32 << 20  # per packet, and for finding the audio; headers and cover art take a few MiB
INITIAL_CPU_SECONDS = 3.0
CPU_SECONDS_PER_SECOND = 0.1  # more for each decoded second of audio; usual formats need a hundredth


class GuardedFile:
    """A file for libav, which sees the end of the file in place of any error.

    PyAV raises an exception from a read late, sometimes in another call than the one that met it, and prints it if a
    second one follows. So the exception is stored here until `check`. Time is CPU time of the thread that decodes: a
    slow network does not make a file hostile.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.exceeded = False
        self._file, self._size = file, size
        self._error: BaseException | None = None
        self.rewind()
        self._cpu_seconds = 0.0
        self._cpu_started: float | None = None
        self._cpu_limit = INITIAL_CPU_SECONDS

    def rewind(self) -> None:
        """Begin the file again, for a second pass. All passes share one limit on CPU time."""
        self._position = 0
        self._index_limits = IndexLimits(self._file, self._size)
        self._step_bytes = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes. None at the end of the file, after an error, or beyond the limits."""
        if self._error or self._position >= self._size or not self._within_limits():
            return b""
        try:
            self._file.seek(self._position)
            block = self._file.read(min(size, STEP_BYTES + 1 - self._step_bytes))
            self.exceeded = not self._index_limits.allow(block, self._position)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller: see check()
            self._error = error
        if self._error or self.exceeded:
            return b""
        self._step_bytes += len(block)
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Return the new position, or -1, which libav takes for an error. The file itself moves only in `read`."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0 or self._error or not self._within_limits():
            return -1
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    @property
    def head(self) -> bytes:
        """Return the file's first bytes, which identify some formats."""
        self._file.seek(0)
        return self._file.read(16)

    def check(self) -> None:
        """Raise the error that reading met, if any."""
        if self._error:
            raise self._error

    @property
    def fragmented(self) -> bool:
        """Tell whether this is a fragmented MP4 file. Such a file declares the length of its first fragment only."""
        return self._index_limits.fragmented

    @contextmanager
    def measuring_cpu_time(self) -> Iterator[None]:
        """Count the CPU time of the block towards the limit."""
        self._cpu_started = time.thread_time()
        try:
            yield
        finally:
            self._cpu_seconds += time.thread_time() - self._cpu_started
            self._cpu_started = None

    def begin_packet(self, decoded_seconds: float) -> bool:
        """Begin the next packet after so much decoded audio. Return whether the limits allow it."""
        self._index_limits.reading_header = False
        self._step_bytes = 0
        # A second pass keeps what the first one was allowed. It gets no more for the same audio.
        self._cpu_limit = max(self._cpu_limit, INITIAL_CPU_SECONDS + CPU_SECONDS_PER_SECOND * decoded_seconds)
        return self._within_limits()

    def _within_limits(self) -> bool:
        running = time.thread_time() - self._cpu_started if self._cpu_started is not None else 0.0
        if self._step_bytes > STEP_BYTES or self._cpu_seconds + running > self._cpu_limit:
            self.exceeded = True
        return not self.exceeded
