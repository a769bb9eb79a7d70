"""A process of the app: `python -m bench.app_process NAME …` runs a job for each upload, all at once.

It prints the peak memory of itself and its decoders in bytes. Memory that they share is counted once.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from transcription import job

SAMPLE_SECONDS = 0.02


def memory(process: int | str, *fields: str) -> int:
    """Return the bytes in these fields of the kernel's account of a process. 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(fields))


def children() -> list[str]:
    """Return the process ids of all child processes, whichever thread started them."""
    return [child for tasks in Path("/proc/self/task").glob("*/children") for child in tasks.read_text().split()]


class Peak(threading.Thread):
    """Watches the memory while jobs run."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.bytes = max(self.bytes, sum(memory(process, "Pss:") for process in ["self", *children()]))

    def end(self) -> None:
        self._ended.set()
        self.join()


def main(names: list[str]) -> None:
    process, container, peak = job.for_this_process(), os.environ["AUDIO_CONTAINER"], Peak()
    peak.start()
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: process.run(container, name), names))
    peak.end()
    print(peak.bytes)


if __name__ == "__main__":
    main(sys.argv[1:])
