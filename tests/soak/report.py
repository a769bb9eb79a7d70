"""What a bar counts, and the table in which all of them are printed."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

SHOWN = 5  # failures of one bar that are printed; the rest are counted


@dataclass(frozen=True)
class Result:
    """One line of the table."""

    bar: str
    ran: int
    failed: int
    note: str
    seconds: float


class Tally:
    """Counts what one bar has run, from any thread, and tells of its progress."""

    def __init__(self, bar: str, total: int) -> None:
        self.bar = bar
        self.failed = 0
        self._ran = 0
        self._total = total
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._step = max(1, total // 5)
        say(f"{bar}: {total} to run …")

    def ran(self, wrong: str | None = None) -> None:
        """One more was run; `wrong` says what was not as it should be."""
        with self._lock:
            self._ran += 1
            if wrong:
                self.failed += 1
                if self.failed <= SHOWN:
                    say(f"  FAILED {self.bar}: {wrong}")
            if self._ran % self._step == 0 and self._ran < self._total:
                say(f"  {self.bar}: {self._ran} of {self._total}, {time.monotonic() - self._started:.0f} s")

    def each(self, work: Callable[[Item], str | None], items: Iterable[Item], at_once: int) -> None:
        """`work` tells what is wrong, if anything; an exception that it did not expect is wrong as well."""

        def one(item: Item) -> None:
            try:
                self.ran(work(item))
            except Exception as error:  # noqa: BLE001  # whatever it is, it is counted, and the others are run
                self.ran(f"{item!r:.120}: {type(error).__name__}: {error!s:.300}")

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, items))

    def result(self, note: str) -> Result:
        """What was to run and did not has failed, or a bar that never got to its work would look well."""
        for _ in range(self._total - self._ran):
            self.ran("not run at all")
        seconds = time.monotonic() - self._started
        say(f"{self.bar}: {self._ran} run, {self.failed} failed, {seconds:.0f} s ({note})")
        return Result(self.bar, self._ran, self.failed, note, seconds)


def table(results: Sequence[Result]) -> str:
    """In Markdown, as the reliability page has it."""
    lines = ["| bar | ran | failed | note |", "|---|---|---|---|"]
    lines += [
        f"| {result.bar} | {result.ran:,} | {result.failed:,} | {result.note}; {result.seconds:.0f} s |"
        for result in results
    ]
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, flush=True)
