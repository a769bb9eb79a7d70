"""Hostile and broken media, each read in a process that may crash or hang without taking anybody along."""

import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from local.tools import PROJECT
from tests.soak.harness import Harness
from tests.soak.hostile import files
from tests.soak.report import Result, Tally

BAR = "hostile and broken media"
LONGEST = 5.0  # seconds that one file may take
START_SECONDS = 60.0  # to import, and to make what is damaged then
PROCESSES = 2


@dataclass
class Seen:
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0  # MB


def run(harness: Harness) -> Result:
    """A share of each kind for each process; in the quick one, every so many-th file."""
    every = {
        "files": range(0, len(files()), harness.number(1, 8)),
        "headers": range(harness.number(10_000, 300)),
    }
    tally, seen = Tally(BAR, sum(map(len, every.values()))), Seen()
    with ThreadPoolExecutor(PROCESSES) as pool:
        shares = [
            pool.submit(_all, kind, numbers[share::PROCESSES], tally, seen)
            for kind, numbers in every.items()
            for share in range(PROCESSES)
        ]
    for share in shares:
        share.result()
    what = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(seen.outcomes.items()))
    return tally.result(
        f"{len(every['files'])} files and {len(every['headers']):,} headers: {what};"
        f" slowest {seen.slowest:.1f} s, at most {seen.peak} MB"
    )


def _all(kind: str, numbers: range, tally: Tally, seen: Seen) -> None:
    while numbers:
        numbers = _some(kind, numbers, tally, seen)


def _some(kind: str, numbers: range, tally: Tally, seen: Seen) -> range:
    """Reads until the process ends, of itself or because one file took too long; those that are left."""
    span = [str(bound) for bound in (numbers.start, numbers.stop, numbers.step)]
    command = [sys.executable, "-m", "tests.soak.hostile", kind, *span]
    with (
        tempfile.TemporaryFile("w+") as errors,  # not a pipe: it could fill up
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        wait = START_SECONDS
        while numbers:
            try:
                line = lines.get(timeout=wait)
            except queue.Empty:
                process.kill()
                tally.ran(f"{kind} {numbers[0]}: it hangs")
                return numbers[1:]
            if not line:
                process.wait()
                errors.seek(0)
                tally.ran(f"{kind} {numbers[0]}: it crashes ({process.returncode}): {errors.read()[-300:]}")
                return numbers[1:]
            wait = 2 * LONGEST if line.endswith("start") else START_SECONDS
            if not line.endswith("start"):
                _note(line, kind, tally, seen)
                numbers = numbers[1:]
    return numbers


def _note(line: str, kind: str, tally: Tally, seen: Seen) -> None:
    at, seconds, peak, outcome = line.split(" ", 3)
    seen.outcomes[outcome] += 1
    seen.slowest = max(seen.slowest, float(seconds))
    seen.peak = max(seen.peak, int(peak))
    tally.ran(f"{kind} {at}: {seconds} s" if float(seconds) > LONGEST else None)


def _read(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.strip())
    lines.put("")
