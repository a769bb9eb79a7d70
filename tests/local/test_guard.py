"""The guard: a guarded program ends when its starter does, however that happens."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from local.processes import Child, guarded
from local.tools import PROJECT
from tests.support.processes import FAMILY, alive, eventually

# Starts a guarded program, prints the program's output, and waits.
STARTER = """
import os, sys, time
from pathlib import Path
from local.processes import Child, guarded
child = Child(guarded([sys.executable, "-c", sys.argv[1]]), env=os.environ, cwd=Path.cwd(), on_line=print)
time.sleep(600)
"""


def test_a_stop_ends_the_program_and_its_children(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(guarded([sys.executable, "-c", FAMILY]), env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines))
    family = [child.pid, *map(int, lines[0].split())]
    assert all(map(alive, family))
    child.stop()
    eventually(lambda: not any(map(alive, family)))


def test_the_program_ends_when_its_starter_is_killed() -> None:
    command = [sys.executable, "-u", "-c", STARTER, FAMILY]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        family = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(family) == 2
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, family)))


def test_the_children_of_a_program_that_ends_by_itself_end_too(tmp_path: Path) -> None:
    lines: list[str] = []
    program = FAMILY.rsplit("time.sleep", 1)[0]  # without the wait at its end
    child = Child(guarded([sys.executable, "-c", program]), env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines) and not child.running)
    eventually(lambda: not any(map(alive, map(int, lines[0].split()))))
    child.stop()
