"""A function app with its own storage, and hosts for it."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.host import StandInHost
from local.tools import worker_python
from tests.support.host_app import HostApp

Start = Callable[..., AbstractContextManager[StandInHost]]


@pytest.fixture
def app(tmp_path: Path, azurite: Azurite) -> HostApp:
    return HostApp(tmp_path, azurite)


@pytest.fixture(params=["runtime", "plain"])
def python(request: pytest.FixtureRequest) -> Path:
    """Return a Python with Microsoft's worker code, and one without."""
    python = worker_python() if request.param == "runtime" else Path(sys.executable)
    if python is None:
        pytest.skip("no Python 3.13 on this machine")
    return python


@pytest.fixture
def start(app: HostApp, python: Path) -> Start:
    """Start a host. Each test runs with both kinds of worker."""
    return lambda **options: app.host(python, **options)


@pytest.fixture
def start_plain(app: HostApp) -> Start:
    """Start a host, for tests where the kind of worker makes no difference."""
    return lambda **options: app.host(Path(sys.executable), **options)
