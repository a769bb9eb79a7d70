"""The real host, `func start`, where Azure Functions Core Tools is installed."""

import logging
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.host.errors import HostError
from local.processes import Child, guarded
from local.tools import probe

#: The first start downloads the extension bundle.
START_SECONDS = 180.0

log = logging.getLogger("local.function")


def find_func() -> str | None:
    """Core Tools 4 on the PATH, if it really runs."""
    func = shutil.which("func")
    return func if func and probe([func, "--version"]).startswith("4.") else None


class CoreToolsHost:
    """`func start` over an app folder. A context manager: entered, the host answers."""

    def __init__(self, func: str, app: Path, python: Path, settings: Mapping[str, str]) -> None:
        """`python`: of the virtual environment that holds the app's packages, which Core Tools takes from the PATH."""
        self._func = func
        self._app = app
        self._env = {
            **settings,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT": "1",
            "VIRTUAL_ENV": str(python.parent.parent),
            "PATH": f"{python.parent}:{settings.get('PATH', '')}",
        }

    def __enter__(self) -> Self:
        port = free_port()
        command = guarded([self._func, "start", "--port", str(port)])
        self._child = Child(command, env=self._env, cwd=self._app, on_line=log.info)
        try:
            self._wait(f"http://127.0.0.1:{port}/admin/host/status")
        except BaseException:
            self._child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def _wait(self, status: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._child.running and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(status, timeout=5) as answer:  # noqa: S310 - our own loopback address
                    if b'"Running"' in answer.read():
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.2)
        raise HostError(f"func start did not come up. Its last words:\n{self._child.tail}")


def free_port() -> int:
    """A port that was free a moment ago: `func` takes no 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
