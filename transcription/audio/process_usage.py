"""Measures the CPU time and the memory of another process, which Linux reports in /proc. Elsewhere both are 0."""

import os
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")  # per second
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessUsage:
    """The usage of a process. Once it has ended, all is 0."""

    def __init__(self, process_id: int) -> None:
        self._proc = Path(f"/proc/{process_id}")
        self._cpu_at_start = 0.0

    def begin(self) -> None:
        """Count CPU time from now on."""
        self._cpu_at_start = self._cpu_total()

    def cpu_seconds(self) -> float:
        """Return the CPU time since `begin`."""
        return self._cpu_total() - self._cpu_at_start

    def memory_bytes(self) -> int:
        """Return the memory that it holds now, without files that it shares with others."""
        fields = self._read("statm").split()  # size, resident, shared, …, in pages
        return (int(fields[1]) - int(fields[2])) * PAGE_BYTES if fields else 0

    def _cpu_total(self) -> float:
        fields = self._read("stat").rpartition(")")[2].split()  # what comes before may hold spaces
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS if fields else 0.0

    def _read(self, name: str) -> str:
        try:
            return (self._proc / name).read_text()
        except OSError:
            return ""
