"""Applies mutants to copies of the project, and runs the bars there that have to see them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.progress import say
from local.tools import LOCAL, PROJECT
from tests.soak.mutants import Mutant

MUTANT_SECONDS = 600.0  # for one mutant; a bar in quick size takes less than a minute
TAIL_LINES = 15  # of a run that did not end with a table
LINKED = (".venv", ".local")  # tools and packages; a copy shares them
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "local.settings.json")
ROW = re.compile(r"^\| (?P<bar>[^|]+) \| [\d,]+ \| (?P<failed>[\d,]+) \|", re.MULTILINE)


class BarDidNotRun(Exception):
    """The run of a mutant ended without a table, so it says nothing about the bar."""


def unseen(mutants: Sequence[Mutant], labels: dict[str, str]) -> list[Mutant]:
    """Run each mutant's bars in quick size, and return the mutants that no row showed. `labels`: bar → row.

    Raises MutantMisfit if a mutant does not fit the sources.
    Raises BarDidNotRun if a run ends without a table.
    """
    missed = []
    for mutant in mutants:
        started = time.monotonic()
        failed = failures(mutant)[labels[mutant.bar]]
        if not failed:
            missed.append(mutant)
        outcome = f"red ({failed:,} failed)" if failed else "STAYS GREEN"
        say(f"  mutant of {mutant.bar}: {mutant.broken}: {outcome}, {time.monotonic() - started:.0f} s")
    return missed


def failures(mutant: Mutant) -> dict[str, int]:
    """Apply the mutant to a copy, run its bars there, and return the failures of each row of the table."""
    with copy_of_project() as project:
        mutant.apply(project)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-m", "tests.soak", "--quick", *mutant.bars],
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MUTANT_SECONDS,
        )
    rows = {row["bar"]: int(row["failed"].replace(",", "")) for row in ROW.finditer(done.stdout)}
    if not rows:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        raise BarDidNotRun(f"With the mutant {mutant.broken!r}, the soak ended without a table:\n{tail}")
    return rows


@contextmanager
def copy_of_project() -> Iterator[Path]:
    """Yield a copy of the sources, next to links to what is installed. Git and the tools ignore its place."""
    LOCAL.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=LOCAL) as folder:
        project = Path(folder) / "project"
        shutil.copytree(PROJECT, project, ignore=NOT_COPIED)
        for name in LINKED:
            (project / name).symlink_to((PROJECT / name).resolve())
        yield project
