"""Installs the tools of the checks that are not Python packages, into `.local/` like those of the local stack.

`python -m tests.infra.tools` installs all of them before the tests, so that no test has to wait.
"""

import shutil
import sys
from pathlib import Path

from local.progress import say, step
from local.tools import PROJECT, ToolError, child_environment, find_python_313, installed, node_and_npm, pip, run

KUSTO = "@kusto/language-service-next@12.4.1"

# An interpreter of Kusto queries, for tests that need their results. In its own environment, like checkov.
KQL = ("duckdb-kql==1.1.2", "duckdb==2.0.1", "pytz==2026.6")

CHECKOV = "checkov==3.3.30"  # in its own environment: its dozens of dependencies must not affect the project's

REQUIREMENTS = PROJECT / "requirements.txt"


def bicep() -> str | None:
    """Return the path of the Bicep compiler, or None. It is in no package registry, so it is not installed here."""
    return shutil.which("bicep")


def kusto() -> tuple[str, Path]:
    """Return Node's path, and the folder of Microsoft's Kusto parser."""
    node, npm = node_and_npm()

    def install(folder: Path) -> None:
        with step("Installing the parser of Kusto queries", "about ten seconds, once"):
            quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
            run([*npm, "install", KUSTO, *quiet, "--prefix", str(folder)], "the Kusto parser", env=child_environment())

    return node, installed("kusto", KUSTO, install) / "node_modules" / "@kusto" / "language-service-next"


def kql() -> Path:
    """Return a Python that can run Kusto queries."""

    def install(folder: Path) -> None:
        with step("Installing an interpreter of Kusto queries", "about 20 seconds, once"):
            run([sys.executable, "-m", "venv", str(folder)], "the interpreter's virtual environment")
            run([*pip(str(folder / "bin" / "python")), *KQL], "the interpreter of Kusto queries")

    return installed("kql", " ".join(KQL) + sys.version, install) / "bin" / "python"


def checkov() -> Path:
    """Return the path of the security scanner."""

    def install(folder: Path) -> None:
        with step("Installing checkov, the security scanner", "one to two minutes, once"):
            run([sys.executable, "-m", "venv", str(folder)], "checkov's virtual environment")
            run([*pip(str(folder / "bin" / "python")), CHECKOV], "checkov")

    return installed("checkov", CHECKOV + sys.version, install) / "bin" / "checkov"


def package_python() -> Path | None:
    """Return a Python 3.13 with only requirements.txt, unlike the local worker's. None if there is no Python 3.13."""
    base = find_python_313()
    if base is None:
        return None

    def install(folder: Path) -> None:
        with step("Installing the deployed packages for Python 3.13", "about 20 seconds, once"):
            run([base, "-m", "venv", str(folder)], "the package's virtual environment")
            run([*pip(str(folder / "bin" / "python")), "-r", str(REQUIREMENTS)], "the package's requirements")

    return installed("package", base + REQUIREMENTS.read_text(), install) / "bin" / "python"


def main() -> None:
    kusto()
    kql()
    checkov()
    package_python()
    if bicep() is None:
        say("There is no Bicep compiler on the PATH. Tests that need it are skipped.")


if __name__ == "__main__":
    try:
        main()
    except ToolError as error:
        sys.exit(str(error))
