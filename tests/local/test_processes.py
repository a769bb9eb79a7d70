"""Child processes end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from local.processes import Child, guarded
from local.tools import PROJECT
from tests.local.host_app import alive, eventually

#: A program that shrugs off SIGTERM's usual targets: it has a child of its own, and prints both process ids.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""

#: Starts the family under guard, passes its process ids on, and waits.
PARENT = """
import os, sys, time
from pathlib import Path
from local.processes import Child, guarded
child = Child(guarded([sys.executable, "-c", sys.argv[1]]), env=os.environ, cwd=Path.cwd(), on_line=print)
time.sleep(600)
"""


def test_a_stop_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(guarded([sys.executable, "-c", FAMILY]), env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines))
    family = [child.pid, *map(int, lines[0].split())]
    assert all(map(alive, family))
    child.stop()
    eventually(lambda: not any(map(alive, family)))


def test_the_program_ends_when_its_starter_is_killed() -> None:
    command = [sys.executable, "-u", "-c", PARENT, FAMILY]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        family = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(family) == 2
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(alive, family)))


def test_the_last_words_are_kept(tmp_path: Path) -> None:
    ends: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    child = Child(
        [sys.executable, "-u", "-c", code],
        env=os.environ,
        cwd=tmp_path,
        on_line=lambda _: None,
        on_error_line=lambda _: None,
        on_end=ends.append,
    )
    eventually(lambda: bool(ends))
    assert sorted(ends[0].splitlines()) == ["one", "two"]
    eventually(lambda: not child.running)
    child.stop()


def test_a_child_that_ignores_its_input_is_ended_all_the_same(tmp_path: Path) -> None:
    started = time.monotonic()
    lines: list[str] = []
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = Child([sys.executable, "-c", stubborn], env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines))
    child.stop(grace_seconds=0.2)
    assert not alive(child.pid)
    assert time.monotonic() < started + 5


def test_a_stop_ends_what_a_killed_guard_left_behind(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(guarded([sys.executable, "-c", FAMILY]), env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines))
    started = time.monotonic()
    os.kill(child.pid, signal.SIGKILL)
    child.stop()
    assert time.monotonic() < started + 5
    eventually(lambda: not any(map(alive, map(int, lines[0].split()))))
