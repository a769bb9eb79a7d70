"""The Core Tools host, with a script in place of `func`."""

import json
import os
import sys
from pathlib import Path

import pytest

from local.host import CoreToolsHost, HostError
from local.host.coretools import find_func
from tests.support.processes import alive, eventually

FUNC = f"""#!{sys.executable}
import http.server, json, os, sys
if sys.argv[1:] == ["--version"]:
    print("4.0.7000")
    sys.exit()
if os.path.exists("broken"):
    sys.exit("Port is no good")
recorded = {{name: os.environ.get(name) for name in ("AudioStorage", "FUNCTIONS_WORKER_RUNTIME", "VIRTUAL_ENV")}}
with open("recorded.json", "w") as file:
    json.dump({{"pid": os.getpid(), "command": sys.argv[1:3], **recorded}}, file)

class Status(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/admin/host/status" else 404)
        self.end_headers()
        self.wfile.write(b'{{"state": "Running"}}')

http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Status).serve_forever()
"""


@pytest.fixture
def func(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "bin" / "func"
    path.parent.mkdir()
    path.write_text(FUNC)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return str(path)


def host(func: str, app: Path) -> CoreToolsHost:
    return CoreToolsHost(func, app, Path("/venv/bin/python"), {**os.environ, "AudioStorage": "a connection"})


def test_a_func_that_runs_is_found(func: str) -> None:
    assert find_func() == func


def test_a_func_that_does_not_run_is_skipped(func: str) -> None:
    Path(func).write_text("#!/bin/sh\nexit 1\n")
    assert find_func() is None


def test_func_gets_the_settings_and_ends_with_the_host(func: str, tmp_path: Path) -> None:
    with host(func, tmp_path):
        recorded = json.loads((tmp_path / "recorded.json").read_text())
        assert alive(recorded["pid"])
    eventually(lambda: not alive(recorded["pid"]))
    assert recorded["command"] == ["start", "--port"]
    assert (recorded["AudioStorage"], recorded["FUNCTIONS_WORKER_RUNTIME"]) == ("a connection", "python")
    assert recorded["VIRTUAL_ENV"] == "/venv"


def test_a_func_that_does_not_come_up_shows_its_last_output(func: str, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(HostError, match="Port is no good"), host(func, tmp_path):
        pass
