"""Chooses the host for this machine: `func start` if it is installed, otherwise the stand-in."""

import sys
from collections.abc import Mapping
from pathlib import Path

from local.host.coretools import CoreToolsHost, find_func
from local.host.standin import StandInHost
from local.progress import say
from local.tools import worker_python


def choose_host(app: Path, settings: Mapping[str, str]) -> CoreToolsHost | StandInHost:
    """Return the host that is closest to Azure's on this machine, and print which one it is."""
    worker = worker_python()
    python = worker or Path(sys.executable)
    if func := find_func():
        say(f"Host: Azure Functions Core Tools ({func})")
        return CoreToolsHost(func, app, python, settings)
    if worker:
        say("Host: a stand-in that runs Microsoft's worker code on Python 3.13 (`func` is not installed)")
    else:
        say("Host: a stand-in that calls the functions directly. It works, but checks less than Azure does.")
        say("  For Microsoft's worker code, install Python 3.13 (or set PYTHON313), or Azure Functions Core Tools.")
    return StandInHost(app, python, settings)
