"""Child processes that end with this process, however it ends.

Each child gets a session of its own. So Ctrl-C in the terminal reaches only this process, which then stops its children
in order. Each child's standard input is a pipe from this process. It closes when this process stops the child, and when
this process dies, even of SIGKILL. `local/guard.py` watches the input of programs that do not watch it themselves.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

GUARD = Path(__file__).with_name("guard.py")

GRACE_SECONDS = 10.0  # from closing a child's input to SIGKILL; Azurite writes its storage to disk in that time
TAIL_LINES = 30  # of a child's output, to explain a failure


class Child:
    """A running child process. A thread reads its output line by line."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        on_line: Callable[[str], None],
        on_error_line: Callable[[str], None] | None = None,
        on_end: Callable[[str], None] | None = None,
    ) -> None:
        """Start the child. Without `on_error_line`, standard error is merged into standard output.

        `on_end` is called with the last lines after the output has ended.
        """
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if on_error_line else subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        errors = [self._read(self._process.stderr, on_error_line)] if on_error_line else []
        self._readers = [*errors, self._read(self._process.stdout, on_line, errors, on_end)]

    @property
    def tail(self) -> str:
        """Return the last lines of the child's output."""
        return "\n".join(self._tail)

    @property
    def pid(self) -> int:
        """Return the child's process id, which is also its process group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tell whether the child has not ended yet."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write one line to the child's input. Raises BrokenPipeError if the child has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Close the child's input, wait for it, then kill what is left of its process group.

        Processes are left if the guard was killed, or a worker that had started some. They would keep running, and hold
        open the pipes that the readers wait for.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read(
        self,
        stream: IO[str] | None,
        on_line: Callable[[str], None],
        others: Sequence[threading.Thread] = (),
        on_end: Callable[[str], None] | None = None,
    ) -> threading.Thread:
        assert stream is not None

        def read() -> None:
            for line in stream:
                self._tail.append(line.rstrip())
                on_line(line.rstrip())
            for other in others:
                other.join(1)
            if on_end:
                on_end(self.tail)

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread


def guarded(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program under `local/guard.py`."""
    return [sys.executable, "-I", "-S", str(GUARD), *command]
