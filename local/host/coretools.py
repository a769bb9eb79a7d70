"""The real host, `func start`, for machines that have Azure Functions Core Tools."""

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

START_SECONDS = 180.0  # the first start downloads the extension bundle

log = logging.getLogger("local.function")


def find_func() -> str | None:
    """Return the path of Core Tools 4, if it is on the PATH and runs."""
    func = shutil.which("func")
    return func if func and probe([func, "--version"]).startswith("4.") else None


class CoreToolsHost:
    """`func start` for one app folder. Use it as a context manager: the host is up inside the block."""

    def __init__(self, func: str, app: Path, python: Path, settings: Mapping[str, str]) -> None:
        """Prepare the host. `python` is in the virtual environment with the app's packages."""
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
            self._wait_until_running(f"http://127.0.0.1:{port}/admin/host/status")
        except BaseException:
            self._child.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    def _wait_until_running(self, status_url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self._child.running and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(status_url, timeout=5) as response:  # noqa: S310  # our own loopback address
                    if b'"Running"' in response.read():
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.2)
        raise HostError(f"`func start` did not come up. Its last output:\n{self._child.tail}")


def free_port() -> int:
    """Return a port that was free a moment ago. `func` does not accept port 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
