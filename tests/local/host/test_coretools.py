"""Core Tools, played by a script: what it is given, when it counts as up, how it ends."""

import json
import os
import sys
from pathlib import Path

import pytest

from local.host import CoreToolsHost, HostError
from local.host.coretools import find_func
from tests.local.host_app import alive, eventually

FUNC = f"""#!{sys.executable}
import http.server, json, os, sys
if sys.argv[1:] == ["--version"]:
    print("4.0.7000")
    sys.exit()
if os.path.exists("broken"):
    sys.exit("Port is no good")
noted = {{name: os.environ.get(name) for name in ("AudioStorage", "FUNCTIONS_WORKER_RUNTIME", "VIRTUAL_ENV")}}
with open("noted.json", "w") as file:
    json.dump({{"pid": os.getpid(), "command": sys.argv[1:3], **noted}}, file)

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


def test_it_is_found_where_it_runs(func: str) -> None:
    assert find_func() == func


def test_a_func_that_does_not_run_is_passed_over(func: str) -> None:
    Path(func).write_text("#!/bin/sh\nexit 1\n")
    assert find_func() is None


def test_it_gets_the_settings_and_ends_with_the_host(func: str, tmp_path: Path) -> None:
    with host(func, tmp_path):
        noted = json.loads((tmp_path / "noted.json").read_text())
        assert alive(noted["pid"])
    eventually(lambda: not alive(noted["pid"]))
    assert noted["command"] == ["start", "--port"]
    assert (noted["AudioStorage"], noted["FUNCTIONS_WORKER_RUNTIME"]) == ("a connection", "python")
    assert noted["VIRTUAL_ENV"] == "/venv"


def test_one_that_does_not_come_up_is_told(func: str, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(HostError, match="Port is no good"), host(func, tmp_path):
        pass
