"""Counts the runs of a bar, and prints the table of all bars."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from local.progress import say

Item = TypeVar("Item")

MOST_FAILURES_PRINTED = 5  # of one bar; the rest are only counted
PROGRESS_LINES = 5  # of one bar


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    bar: str
    ran: int
    failed: int
    note: str
    seconds: float
    seen_red: str = ""  # mutants that this bar saw, of those it has to see; empty if none were run


class Tally:
    """Counts the runs of one bar, from any thread, and prints its progress."""

    def __init__(self, bar: str, total: int) -> None:
        self.bar = bar
        self.failed = 0
        self._ran = 0
        self._total = total
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._step = max(1, total // PROGRESS_LINES)
        say(f"{bar}: {total} to run …")

    def count(self, problem: str | None = None) -> None:
        """Count one more run. It failed if there is a problem."""
        with self._lock:
            self._ran += 1
            if problem:
                self.failed += 1
                if self.failed <= MOST_FAILURES_PRINTED:
                    say(f"  FAILED {self.bar}: {problem}")
            if self._ran % self._step == 0 and self._ran < self._total:
                say(f"  {self.bar}: {self._ran} of {self._total}, {time.monotonic() - self._started:.0f} s")

    def run_each(self, work: Callable[[Item], str | None], items: Iterable[Item], at_once: int) -> None:
        """Count `work(item)` for each item. `work` returns the problem, if any; an exception is a problem as well."""

        def run_one(item: Item) -> None:
            try:
                self.count(work(item))
            except Exception as error:  # noqa: BLE001  # whatever it is, count it and run the others
                self.count(f"{item!r:.120}: {type(error).__name__}: {error!s:.300}")

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(run_one, items))

    def result(self, note: str) -> Result:
        """Return the bar's line of the table. Runs that never took place count as failed."""
        for _ in range(self._total - self._ran):
            self.count("did not run")
        seconds = time.monotonic() - self._started
        say(f"{self.bar}: {self._ran} run, {self.failed} failed, {seconds:.0f} s ({note})")
        return Result(self.bar, self._ran, self.failed, note, seconds)


def table(results: Sequence[Result]) -> str:
    """Return the table in Markdown, as `docs/reliability.md` has it."""
    lines = ["| bar | ran | failed | seen red | note |", "|---|---|---|---|---|"]
    lines += [
        f"| {result.bar} | {result.ran:,} | {result.failed:,} | {result.seen_red or '–'} |"
        f" {result.note}; {result.seconds:.0f} s |"
        for result in results
    ]
    return "\n".join(lines)
