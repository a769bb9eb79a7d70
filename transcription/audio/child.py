"""The decoder process. It decodes one recording after another, and is allowed little else.

FFmpeg's libraries are large, and uploads may be made to harm them. In a process of its own, a crash, an endless loop or
a file that needs gigabytes ends one upload and leaves the others alone. `decoders.py` starts the process and watches
it; `messages.py` describes what the two say to each other.
"""

import os
import resource
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from transcription.audio import messages
from transcription.errors import UnsupportedAudio

MEMORY_BYTES = 112 << 20  # more than after the start; two hours of video need 20 MB for their index
CPU_SECONDS = 1200  # of one recording; ends an endless loop even if the app has died and watches no more
NICENESS = 10  # the clips that wait to be sent go first, and they take little time


def main() -> None:
    """Decode recordings until the app closes the connection."""
    with suppress(EOFError), Connection(0) as connection:
        _serve(connection)


def _serve(connection: Connection) -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # more threads take 8 MB each, and mixing gains nothing from them
    try:
        from transcription.audio.decoding import DecodedRecording

        _limit_itself()
    except Exception as error:  # noqa: BLE001  # whatever it is, the uploads' documents say so
        messages.send(connection, messages.BROKEN, f"{type(error).__name__}: {error}".encode())
        return
    messages.send(connection, messages.READY)

    def read_at(position: int, length: int) -> bytes:
        try:
            messages.send(connection, messages.NEED, messages.packed_range(position, length))
            return messages.receive(connection)[1]
        except MemoryError:  # libav would take it for the end of the file
            os._exit(messages.OUT_OF_MEMORY)

    while True:
        size = messages.size_in(messages.receive(connection)[1])
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_SECONDS, resource.RLIM_INFINITY))
        try:
            recording = DecodedRecording(read_at, size)
            messages.send_fields(connection, messages.FORMAT, recording.format)
            for block in recording.blocks():
                messages.send(connection, messages.SAMPLES, block)
            messages.send_fields(connection, messages.END, recording.end)
        except UnsupportedAudio as error:
            messages.send(connection, messages.REFUSED, str(error).encode())
        except MemoryError:
            os._exit(messages.OUT_OF_MEMORY)  # at once: nothing can be relied on any more


def _limit_itself() -> None:
    """Give up the right to open files and sockets, to write a core dump, and to take much more memory than now.

    The limit is on the data that is the process's own. Its address space holds the libraries too, most of them unused.
    Files that are open stay open. With a limit of 0, closing one does not allow opening another.
    """
    status = Path("/proc/self/status")
    if status.exists():  # on Linux; elsewhere there is no such limit
        (size,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmData")]
        most = (int(size) << 10) + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with suppress(OSError):  # if the system lacks memory, a decoder is ended and not the app
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
