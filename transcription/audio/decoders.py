"""The decoder processes: starts them, keeps one ready, and ends those that take too much.

`child.py` says why decoding needs processes. They are started from scratch instead of with `multiprocessing`, which
would hand on the environment with its keys, and import the program that it finds in `__main__`.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from transcription.audio import messages
from transcription.audio.process_usage import ProcessUsage
from transcription.errors import Misconfigured, TranscriptionError, UnsupportedAudio

FIRST_CPU_SECONDS = 3.0  # of a recording
CPU_SECONDS_PER_SECOND = 0.08  # more for each second of decoded audio; five times what the slowest real format needs
SILENCE_SECONDS = 120.0  # without a message; on a busy machine a decoder may get a small share of the processor
MESSAGE_SECONDS = 10  # from the first byte of a message to the last
EXIT_SECONDS = 1.0  # from the end of a connection to that of its process
TICK_SECONDS = 0.25  # between two looks at a silent decoder
MOST_SPARE = 2  # decoders that wait for a recording
MOST_SPARE_BYTES = 48 << 20  # of memory; a decoder that holds more has less left for the next recording

ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")  # Python may need the second one to start
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from transcription.audio import child; child.main()"


class GaveUp(UnsupportedAudio):
    """The decoder could not cope with a file."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The decoder gave up: {reason}. Play the recording on a computer. If it plays, export it as m4a, mp3 or"
            " wav and upload the result."
        )


class Decoder:
    """A decoder process, which takes one recording after another. If a method raises, it must be ended."""

    def __init__(self, program: str = PROGRAM) -> None:
        """Start it, without waiting until it is ready. Raises Misconfigured if it cannot be started."""
        self._connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-I", "-S", "-c", program, json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            )
        except OSError as error:
            self._connection.close()
            raise Misconfigured(f"No decoder can be started: {error}") from error
        finally:
            theirs.close()
        _limit_waits(self._connection)
        self._usage = ProcessUsage(self._process.pid)
        self._ready = False

    @property
    def can_be_used_again(self) -> bool:
        """Tell whether it is alive, and holds little memory."""
        return self._process.poll() is None and self._usage.memory_bytes() <= MOST_SPARE_BYTES

    def open(self, size: int, check: Callable[[], None]) -> None:
        """Let it decode a file of so many bytes. `check` is called while it starts, and may raise.

        Raises Misconfigured if it cannot decode anything.
        """
        try:
            if not self._ready:
                kind, content = self._next(check)
                if kind != messages.READY:
                    raise Misconfigured(f"The decoder does not start: {content.decode(errors='replace')}")
                self._ready = True
            self._usage.begin()
            messages.send(self._connection, messages.OPEN, messages.packed_size(size))
        except TimeoutError as error:
            raise Misconfigured(f"The decoder does not start: {error}") from None
        except (EOFError, OSError):
            raise Misconfigured(f"The decoder does not start: {self._end_reason()}") from None

    def receive(self, audio_seconds: float, check: Callable[[], None]) -> tuple[bytes, bytes]:
        """Return the next message, as `messages.receive` does. `check` is called while it takes its time.

        Raises GaveUp if there is none, or if it takes more CPU time than decoding so much audio may take.
        """

        def check_all() -> None:
            check()
            if self._usage.cpu_seconds() > FIRST_CPU_SECONDS + CPU_SECONDS_PER_SECOND * audio_seconds:
                raise GaveUp("the file takes more time than a recording should")

        try:
            return self._next(check_all)
        except TimeoutError as error:
            raise GaveUp(str(error)) from None
        except (EOFError, OSError):
            raise self._end_error() from None

    def give(self, content: bytes) -> None:
        """Send it the part of the file that it needs. Raises GaveUp if it does not take it."""
        try:
            messages.send(self._connection, messages.CONTENT, content)
        except BlockingIOError:
            raise GaveUp("it does not read what it asked for") from None
        except OSError:
            raise self._end_error() from None

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _next(self, check: Callable[[], None]) -> tuple[bytes, bytes]:
        """Return the next message. Raises TimeoutError after a long silence, EOFError or OSError if it has ended."""
        ends = time.monotonic() + SILENCE_SECONDS
        while not self._connection.poll(TICK_SECONDS):
            check()
            if time.monotonic() > ends:
                raise TimeoutError("it does not answer")
        check()
        try:
            return messages.receive(self._connection)
        except BlockingIOError:
            raise TimeoutError("it stopped in the middle of an answer") from None

    def _end_error(self) -> TranscriptionError:
        """Return the error that says why it has ended."""
        if self._exit_status() == -signal.SIGKILL:  # not by us, and its own limit ends it in another way
            return Misconfigured("The system has ended the decoder. It may lack memory: choose larger instances.")
        return GaveUp(self._end_reason())

    def _exit_status(self) -> int:
        """Return the exit status, or minus the signal. 0 if it lives, and has only closed the connection."""
        try:
            return self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return 0

    def _end_reason(self) -> str:
        status = self._exit_status()
        if status == messages.OUT_OF_MEMORY:
            return "the file takes more memory than a recording should"
        return f"it crashed ({_signal_name(-status)})" if status < 0 else f"it ended with status {status}"


def _limit_waits(connection: Connection) -> None:
    """Let no message take long, to send or to receive. Without a limit, half a message would block for ever."""
    seconds = struct.pack("@ll", MESSAGE_SECONDS, 0)
    with socket.socket(fileno=os.dup(connection.fileno())) as shared:  # its options are those of the connection
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


class Decoders:
    """The decoders of the process, of which one is always ready. Thread-safe."""

    def __init__(self, start: Callable[[], Decoder] = Decoder) -> None:
        """Start none yet."""
        self._start = start
        self._spare: list[Decoder] = []
        self._lock = threading.Lock()

    def take(self) -> Decoder:
        """Return a decoder for one recording. Raises Misconfigured if none can be started."""
        with self._lock:
            while self._spare:
                spare = self._spare.pop()
                if spare.can_be_used_again:
                    return spare
                spare.end()
        return self._start()

    def keep_one_ready(self) -> None:
        """Start another decoder if none is left. Call it when the last one is at work: starting takes CPU time."""
        with self._lock, suppress(Misconfigured):  # then the next recording will know
            if not self._spare:
                self._spare.append(self._start())

    def give_back(self, decoder: Decoder, *, usable: bool) -> None:
        """Keep a decoder for another recording if it is usable, and end it otherwise."""
        with self._lock:
            keep = usable and len(self._spare) < MOST_SPARE and decoder.can_be_used_again
            if keep:
                self._spare.append(decoder)
        if not keep:
            decoder.end()

    def close(self) -> None:
        """End those that wait for a recording."""
        with self._lock:
            while self._spare:
                self._spare.pop().end()
