"""Reads hostile and broken media in processes of their own, so that a crash or a hang ends only one of them."""

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
LONGEST_READ = 5.0  # seconds for one file
START_SECONDS = 60.0  # to import the app and to make the next file
PROCESSES = 2


@dataclass
class Outcomes:
    """Sums up all files that were read."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak_megabytes: int = 0


def run(harness: Harness) -> Result:
    """Split each kind among the processes. A quick run takes a few files of each kind."""
    numbers_of = {
        "files": range(0, len(files()), harness.number(1, 8)),
        "headers": range(harness.number(10_000, 300)),
    }
    tally, outcomes = Tally(BAR, sum(map(len, numbers_of.values()))), Outcomes()
    with ThreadPoolExecutor(PROCESSES) as pool:
        shares = [
            pool.submit(_read_all, kind, numbers[share::PROCESSES], tally, outcomes)
            for kind, numbers in numbers_of.items()
            for share in range(PROCESSES)
        ]
    for share in shares:
        share.result()
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.counts.items()))
    return tally.result(
        f"{len(numbers_of['files'])} files and {len(numbers_of['headers']):,} headers: {counts};"
        f" slowest {outcomes.slowest:.1f} s, at most {outcomes.peak_megabytes} MB"
    )


def _read_all(kind: str, numbers: range, tally: Tally, outcomes: Outcomes) -> None:
    while numbers:
        numbers = _read_in_process(kind, numbers, tally, outcomes)


def _read_in_process(kind: str, numbers: range, tally: Tally, outcomes: Outcomes) -> range:
    """Read files in a new process until it ends or one file takes too long. Return the numbers that are left."""
    span = [str(bound) for bound in (numbers.start, numbers.stop, numbers.step)]
    command = [sys.executable, "-m", "tests.soak.hostile", kind, *span]
    with (
        tempfile.TemporaryFile("w+") as errors,  # a pipe could fill up and block it
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_forward_lines, args=(process, lines), daemon=True).start()
        wait = START_SECONDS
        while numbers:
            try:
                line = lines.get(timeout=wait)
            except queue.Empty:
                process.kill()
                tally.count(f"{kind} {numbers[0]}: it hangs")
                return numbers[1:]
            if not line:
                process.wait()
                errors.seek(0)
                tally.count(f"{kind} {numbers[0]}: it crashes ({process.returncode}): {errors.read()[-300:]}")
                return numbers[1:]
            wait = 2 * LONGEST_READ if line.endswith("start") else START_SECONDS
            if not line.endswith("start"):
                _count_line(line, kind, tally, outcomes)
                numbers = numbers[1:]
    return numbers


def _count_line(line: str, kind: str, tally: Tally, outcomes: Outcomes) -> None:
    """Count one line of `tests.soak.hostile`: number, seconds, peak memory in MB, outcome."""
    number, seconds, megabytes, outcome = line.split(" ", 3)
    outcomes.counts[outcome] += 1
    outcomes.slowest = max(outcomes.slowest, float(seconds))
    outcomes.peak_megabytes = max(outcomes.peak_megabytes, int(megabytes))
    tally.count(f"{kind} {number}: {seconds} s" if float(seconds) > LONGEST_READ else None)


def _forward_lines(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.strip())
    lines.put("")
