"""Helpers for tests that start processes."""

import time
from collections.abc import Callable
from pathlib import Path

from local.tools import child_environment

# A program with a child of its own. It prints both process ids.
FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def bare_environment() -> dict[str, str]:
    """Return this process's environment without settings that would point to something outside this machine."""
    settings = (
        "AZURE_",
        "SPEECH_",
        "AUDIO",
        "Audio",
        "TRANSCRIPT_",
        "WORK_",
        "SWEEP_",
        "MAX_",
        "LOCAL_",
        "BLOB_",
        "AzureWebJobs",
    )
    return {name: value for name, value in child_environment().items() if not name.startswith(settings)}


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds, and fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Tell whether the process exists and is not a zombie."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family[1:]
