"""What the checks need besides Python packages, installed into `.local/` as the local stack's own tools are.

`python -m tests.infra.tools` installs it all ahead of the tests, so that none of them has to wait for it.
"""

import shutil
import sys
from pathlib import Path

from local.progress import say, step
from local.tools import PROJECT, ToolError, child_environment, find_python_313, installed, node_and_npm, pip, run

KUSTO = "@kusto/language-service-next@12.4.1"

#: Has dozens of dependencies of its own, which must not meddle with those of the project.
CHECKOV = "checkov==3.3.30"

REQUIREMENTS = PROJECT / "requirements.txt"


def bicep() -> str | None:
    """The Bicep compiler, where there is one on the PATH: it comes from no package registry."""
    return shutil.which("bicep")


def kusto() -> tuple[str, Path]:
    """Node, and the folder of Microsoft's parser of Kusto queries."""
    node, npm = node_and_npm()

    def install(folder: Path) -> None:
        with step("Installing the parser of Kusto queries", "about ten seconds, once"):
            quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
            run([*npm, "install", KUSTO, *quiet, "--prefix", str(folder)], "the Kusto parser", env=child_environment())

    return node, installed("kusto", KUSTO, install) / "node_modules" / "@kusto" / "language-service-next"


def checkov() -> Path:
    """The command of the security scanner."""

    def install(folder: Path) -> None:
        with step("Installing checkov, the security scanner", "one to two minutes, once"):
            run([sys.executable, "-m", "venv", str(folder)], "checkov's virtual environment")
            run([*pip(str(folder / "bin" / "python")), CHECKOV], "checkov")

    return installed("checkov", CHECKOV + sys.version, install) / "bin" / "checkov"


def package_python() -> Path | None:
    """A Python 3.13 with requirements.txt and nothing else, unlike the local worker's. None where there is no 3.13."""
    base = find_python_313()
    if base is None:
        return None

    def install(folder: Path) -> None:
        with step("Installing what is deployed, for Python 3.13", "about 20 seconds, once"):
            run([base, "-m", "venv", str(folder)], "the package's virtual environment")
            run([*pip(str(folder / "bin" / "python")), "-r", str(REQUIREMENTS)], "the package's requirements")

    return installed("package", base + REQUIREMENTS.read_text(), install) / "bin" / "python"


def main() -> None:
    kusto()
    checkov()
    package_python()
    if bicep() is None:
        say("No Bicep compiler on the PATH: what needs it is skipped.")


if __name__ == "__main__":
    try:
        main()
    except ToolError as error:
        sys.exit(str(error))
