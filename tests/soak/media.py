"""Reads hostile and broken media in processes of their own, so that a crash or a hang ends only one of them.

Each file has limits on memory and on CPU time. They are this bar's own, not the app's constants: whoever raises those
has to answer here.
"""

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
from tests.soak.hostile import files, harmful
from tests.soak.report import Result, Tally

BAR = "hostile and broken media"
MOST_MEGABYTES = 300  # for one file; the app allows 4 million table entries of 40 bytes, and the worst file takes 240
CPU_SECONDS = 4.0  # for one file without sound; the app allows 3 and notices only between packets
CPU_SECONDS_PER_SECOND = 0.15  # for each second of audio; real formats need a hundredth
HANG_SECONDS = 40.0  # of real time; a busy machine needs several times the CPU time
START_SECONDS = 60.0  # to import the app and to make the next file
PROCESSES = 2


@dataclass
class Outcomes:
    """Sums up all files that were read."""

    counts: Counter[str] = field(default_factory=Counter)
    cpu_seconds: float = 0.0
    megabytes: int = 0


def run(harness: Harness) -> Result:
    """Split each kind among the processes. A quick run takes all files made to do harm, and a few of the others."""
    made, damaged = range(len(harmful())), range(len(harmful()), len(files()), harness.number(1, 8))
    headers = range(harness.number(10_000, 300))
    work = [("files", made), ("files", damaged), ("headers", headers)]
    tally, outcomes = Tally(BAR, sum(len(numbers) for _, numbers in work)), Outcomes()
    with ThreadPoolExecutor(PROCESSES) as pool:
        shares = [
            pool.submit(_read_all, kind, numbers[share::PROCESSES], tally, outcomes)
            for kind, numbers in work
            for share in range(PROCESSES)
        ]
    for share in shares:
        share.result()
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.counts.items()))
    return tally.result(
        f"{len(made) + len(damaged)} files and {len(headers):,} headers: {counts};"
        f" one took up to {outcomes.cpu_seconds:.1f} s of CPU and {outcomes.megabytes} MB"
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
            wait = HANG_SECONDS if line.endswith("start") else START_SECONDS
            if not line.endswith("start"):
                _count_line(line, kind, tally, outcomes)
                numbers = numbers[1:]
    return numbers


def _count_line(line: str, kind: str, tally: Tally, outcomes: Outcomes) -> None:
    """Count one line of `tests.soak.hostile`: number, CPU seconds, seconds of audio, MB of memory, outcome."""
    number, cpu, audio, growth, outcome = line.split(" ", 4)
    cpu_seconds, audio_seconds, megabytes = float(cpu), float(audio), int(growth)
    outcomes.counts[outcome] += 1
    outcomes.cpu_seconds = max(outcomes.cpu_seconds, cpu_seconds)
    outcomes.megabytes = max(outcomes.megabytes, megabytes)
    within_limits = megabytes <= MOST_MEGABYTES and cpu_seconds <= CPU_SECONDS + CPU_SECONDS_PER_SECOND * audio_seconds
    cost = f"{cpu_seconds} s of CPU for {audio_seconds} s of audio, {megabytes} MB"
    tally.count(None if within_limits else f"{kind} {number}: {cost}")


def _forward_lines(process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]") -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line.strip())
    lines.put("")
