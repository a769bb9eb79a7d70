"""Child processes: their output, and how they end."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from local.processes import Child, guarded
from tests.support.processes import FAMILY, alive, eventually


def test_the_last_lines_of_output_are_kept(tmp_path: Path) -> None:
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


def test_a_child_that_ignores_its_input_is_killed(tmp_path: Path) -> None:
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


def test_a_stop_ends_the_processes_that_a_killed_guard_left_behind(tmp_path: Path) -> None:
    lines: list[str] = []
    child = Child(guarded([sys.executable, "-c", FAMILY]), env=os.environ, cwd=tmp_path, on_line=lines.append)
    eventually(lambda: bool(lines))
    started = time.monotonic()
    os.kill(child.pid, signal.SIGKILL)
    child.stop()
    assert time.monotonic() < started + 5
    eventually(lambda: not any(map(alive, map(int, lines[0].split()))))


def test_a_child_reads_the_lines_that_are_sent(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    child = Child([sys.executable, "-c", code], env=os.environ, cwd=tmp_path, on_line=lines.append)
    child.send("grüße")
    eventually(lambda: lines == ["GRÜSSE"])
    assert child.running
    child.stop()
    assert not child.running
    assert child.tail == "GRÜSSE"


def test_a_line_to_an_ended_child_fails(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", ""], env=os.environ, cwd=tmp_path, on_line=print)
    eventually(lambda: not child.running)
    with pytest.raises(BrokenPipeError):
        child.send("hello")
    child.stop()
