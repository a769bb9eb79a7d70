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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import PIPE

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
HANG_SECONDS = 120.0  # of real time, with making the file; ten minutes of sound may take a minute of CPU time
EXIT_SECONDS = 5.0  # from the end of its output to that of a process
PROCESSES = 2

COMMAND = (sys.executable, "-m", "tests.soak.hostile")

File = tuple[str, int]  # kind and number
Files = queue.SimpleQueue[File]


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
    """Split the files among the processes. A quick run takes all that are made to do harm, and a few of the others."""
    numbered: list[File] = [
        *(("harmful", number) for number in range(len(harmful()))),
        *(("damaged", number) for number in range(0, len(NAMES), harness.number(1, 8))),
        *(("headers", number) for number in range(harness.number(4_000, 20))),
        *(("fuzzed", number) for number in range(harness.number(15_750, 70))),
    ]
    tally, outcomes = Tally(BAR, len(numbered) + PROCESSES), Outcomes()
    files: Files = queue.SimpleQueue()
    for file in numbered:
        files.put(file)
    with ThreadPoolExecutor(PROCESSES) as pool:
        for process in [pool.submit(_read_all, files, tally, outcomes) for _ in range(PROCESSES)]:
            process.result()
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(outcomes.counts.items()))
    return tally.result(
        f"{outcomes.counts.total():,} files: {counts}; one took up to {outcomes.cpu_seconds:.1f} s of CPU,"
        f" {outcomes.own_megabytes} MB of the app and {outcomes.decoder_megabytes} MB of a decoder;"
        f" {outcomes.neighbours:,} neighbours took up to {outcomes.longest:.2f} s, and {outcomes.alone:.2f} s alone"
    )


def _read_all(files: Files, tally: Tally, outcomes: Outcomes) -> None:
    """Read files in one process after another, until none is left."""
    while not _read_in_process(files, tally, outcomes):
        pass


def _read_in_process(files: Files, tally: Tally, outcomes: Outcomes) -> bool:
    """Read files in a new process until it ends or one file takes too long. Tell whether none is left."""
    with (
        tempfile.TemporaryFile("w+") as errors,  # a pipe could fill up and block it
        subprocess.Popen(COMMAND, cwd=PROJECT, stdin=PIPE, stdout=PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdin
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_forward_lines, args=(process, lines), daemon=True).start()
        name = "the end"
        try:
            for file in _taken(files):
                name = " ".join(map(str, file))
                process.stdin.write(json.dumps(file) + "\n")
                process.stdin.flush()
                _count(file, Reading(**json.loads(lines.get(timeout=HANG_SECONDS))), tally, outcomes)
            name = "the end"
            process.stdin.close()
            _count_neighbours(Report(**json.loads(lines.get(timeout=HANG_SECONDS))), tally, outcomes)
            lines.get(timeout=HANG_SECONDS)
        except (queue.Empty, ValueError, OSError) as error:  # no line, an empty one, or nobody who takes one
            problem = "it hangs" if isinstance(error, queue.Empty) else "it crashes"
            with suppress(subprocess.TimeoutExpired):
                process.wait(0 if problem == "it hangs" else EXIT_SECONDS)
            process.kill()
            process.wait()
            errors.seek(0)
            tally.count(f"{name}: {problem} ({process.returncode}): {errors.read()[-300:]}")
            return False
    return True


def _taken(files: Files) -> Iterator[File]:
    with suppress(queue.Empty):
        while True:
            yield files.get_nowait()


def _count(file: File, reading: Reading, tally: Tally, outcomes: Outcomes) -> None:
    outcomes.counts[reading.outcome] += 1
    outcomes.cpu_seconds = max(outcomes.cpu_seconds, reading.cpu_seconds)
    outcomes.own_megabytes = max(outcomes.own_megabytes, reading.own_megabytes)
    outcomes.decoder_megabytes = max(outcomes.decoder_megabytes, reading.decoder_megabytes)
    within_limits = (
        reading.own_megabytes <= OWN_MEGABYTES
        and reading.decoder_megabytes <= DECODER_MEGABYTES
        and reading.cpu_seconds <= CPU_SECONDS + CPU_SECONDS_PER_SECOND * reading.audio_seconds
        and (reading.outcome == "refused" or not is_unusual(*file))
        and not reading.afterwards
    )
    tally.count(None if within_limits else f"{file}: {reading}")


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
