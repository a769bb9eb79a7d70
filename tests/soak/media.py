"""Reads hostile and broken media in processes of their own, so that a crash or a hang ends only one of them.

Each file has limits on memory and on CPU time. They are this bar's own, not the app's constants: whoever raises those
has to answer here. An ordinary recording is decoded beside them, and nothing may happen to it.
"""

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from local.tools import PROJECT
from tests.soak.damaged_files import NAMES
from tests.soak.harness import Harness
from tests.soak.hostile import Reading, harmful, is_unusual
from tests.soak.neighbour import Report
from tests.soak.report import Result, Tally

BAR = "hostile and broken media"
OWN_MEGABYTES = 20  # more in the app's process, for one file
DECODER_MEGABYTES = 150  # more in a decoder, for one file; the app allows 112 of data, and libraries are loaded
CPU_SECONDS = 4.0  # for one file without sound; the app allows 3 and looks four times a second
CPU_SECONDS_PER_SECOND = 0.1  # for each second of audio; the app allows 0.08, and the slowest real format takes 0.02
HANG_SECONDS = 120.0  # of real time; ten minutes of sound may take a minute of CPU time
START_SECONDS = 60.0  # to import the app and to make the next file
PROCESSES = 2


@dataclass
class Outcomes:
    """Sums up all files that were read, and the neighbours."""

    counts: Counter[str] = field(default_factory=Counter)
    cpu_seconds: float = 0.0
    own_megabytes: int = 0
    decoder_megabytes: int = 0
    neighbours: int = 0
    longest: float = 0.0
    alone: float = 0.0


def run(harness: Harness) -> Result:
    """Split each kind among the processes. A quick run takes all files made to do harm, and a few of the others."""
    work = [
        ("harmful", range(len(harmful()))),
        ("damaged", range(0, len(NAMES), harness.number(1, 8))),
        ("headers", range(harness.number(4_000, 20))),
        ("fuzzed", range(harness.number(15_750, 70))),
    ]
    shares = [(kind, numbers[share::PROCESSES]) for kind, numbers in work for share in range(PROCESSES)]
    tally, outcomes = Tally(BAR, sum(len(numbers) for _, numbers in work) + len(shares)), Outcomes()
    with ThreadPoolExecutor(PROCESSES) as pool:
        for done in [pool.submit(_read_all, kind, numbers, tally, outcomes) for kind, numbers in shares]:
            done.result()
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.counts.items()))
    return tally.result(
        f"{outcomes.counts.total():,} files: {counts}; one took up to {outcomes.cpu_seconds:.1f} s of CPU,"
        f" {outcomes.own_megabytes} MB of the app and {outcomes.decoder_megabytes} MB of a decoder;"
        f" {outcomes.neighbours:,} neighbours took up to {outcomes.longest:.2f} s, and {outcomes.alone:.2f} s alone"
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
        while True:
            try:
                line = lines.get(timeout=wait)
            except queue.Empty:
                process.kill()
                tally.count(f"{kind} {_named(numbers)}: it hangs")
                return numbers[1:]
            if not line:
                process.wait()
                errors.seek(0)
                tally.count(f"{kind} {_named(numbers)}: it crashes ({process.returncode}): {errors.read()[-300:]}")
                return numbers[1:]
            if not numbers:
                _count_neighbours(Report(**json.loads(line)), tally, outcomes)
                return numbers
            wait = HANG_SECONDS if line.isdecimal() else START_SECONDS
            if not line.isdecimal():
                _count(kind, numbers[0], Reading(**json.loads(line)), tally, outcomes)
                numbers = numbers[1:]


def _named(numbers: range) -> str:
    return str(numbers[0]) if numbers else "(the end)"


def _count(kind: str, number: int, reading: Reading, tally: Tally, outcomes: Outcomes) -> None:
    outcomes.counts[reading.outcome] += 1
    outcomes.cpu_seconds = max(outcomes.cpu_seconds, reading.cpu_seconds)
    outcomes.own_megabytes = max(outcomes.own_megabytes, reading.own_megabytes)
    outcomes.decoder_megabytes = max(outcomes.decoder_megabytes, reading.decoder_megabytes)
    within_limits = (
        reading.own_megabytes <= OWN_MEGABYTES
        and reading.decoder_megabytes <= DECODER_MEGABYTES
        and reading.cpu_seconds <= CPU_SECONDS + CPU_SECONDS_PER_SECOND * reading.audio_seconds
        and (reading.outcome == "refused" or not is_unusual(kind, number))
    )
    tally.count(None if within_limits else f"{kind} {number}: {reading}")


def _count_neighbours(report: Report, tally: Tally, outcomes: Outcomes) -> None:
    outcomes.neighbours += report.recordings
    outcomes.longest = max(outcomes.longest, report.longest)
    outcomes.alone = max(outcomes.alone, report.alone)
    tally.count(report.problem and f"a neighbour: {report.problem}")


def _forward_lines(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.strip())
    lines.put("")
