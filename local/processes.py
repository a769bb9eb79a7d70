"""Child processes that end with us, whatever ends us.

A child gets a session of its own, so that Ctrl-C in the terminal reaches only this process, which then stops its
children in order. Each child's standard input is a pipe from here: it closes when this process stops it, or dies, even
of SIGKILL. A child that does not watch its input itself is started through `local/guard.py`, which does that for it.
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

#: How long a child may take to end by itself once its input is closed. Azurite writes its storage to disk then.
GRACE_SECONDS = 10.0

#: Lines of a child's output kept to explain why it failed.
TAIL_LINES = 30


class Child:
    """A running child whose output is read line by line, on a thread of its own."""

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
        """Starts it. Without `on_error_line`, standard error goes the way of standard output.

        `on_end` gets the last lines once there will be no more of them.
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
        """The last lines it wrote."""
        return "\n".join(self._tail)

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's as well."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """One line to its input. Raises `BrokenPipeError` where it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Closes its input, waits for it, then kills whatever is left of its process group.

        Something is left where the guard itself was killed, or a worker that had started processes of its own; it would
        live on and hold the pipes that the readers wait for.
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
    """The command line that runs a program which does not watch its input."""
    return [sys.executable, "-I", "-S", str(GUARD), *command]
