"""The Functions host: `func start` where it is installed, else a stand-in around Microsoft's worker code."""

import sys
from collections.abc import Mapping
from pathlib import Path

from local.host.coretools import CoreToolsHost, find_func
from local.host.errors import HostError
from local.host.standin import StandInHost
from local.progress import say
from local.tools import worker_python

__all__ = ["CoreToolsHost", "HostError", "StandInHost", "choose_host"]


def choose_host(app: Path, settings: Mapping[str, str]) -> CoreToolsHost | StandInHost:
    """The most real host to be had on this machine, and a line that says which."""
    python = worker_python()
    if func := find_func():
        say(f"Host: Azure Functions Core Tools ({func})")
        return CoreToolsHost(func, app, python or Path(sys.executable), settings)
    if python:
        say("Host: a stand-in around Microsoft's own worker code on Python 3.13 (`func` is not installed)")
        return StandInHost(app, python, "runtime", settings)
    say("Host: a stand-in that calls the functions plainly: neither `func` nor a Python 3.13 (PYTHON313) was found")
    return StandInHost(app, Path(sys.executable), "plain", settings)
