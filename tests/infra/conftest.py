"""The compiled templates, once for all tests.

Every rule of the linter is an error here, by the bicepconfig.json beside this file. It is none on users' machines: a
newer compiler has new rules, and some of them depend on the date.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from local.tools import PROJECT
from tests.infra import tools
from tests.infra.arm import Json

INFRA = PROJECT / "infra"
STRICT = Path(__file__).parent / "bicepconfig.json"


@pytest.fixture(scope="session")
def bicep() -> str:
    """The compiler's command. The tests that need it are skipped where it is not installed."""
    command = tools.bicep()
    if command is None:
        pytest.skip("no Bicep compiler on the PATH")
    return command


def compiled(bicep: str, file: Path) -> Json:
    done = subprocess.run([bicep, "build", str(file), "--stdout"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of infra/ in which every rule is an error."""
    folder = tmp_path_factory.mktemp("strict") / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(STRICT, folder)
    return folder


@pytest.fixture(scope="session")
def main_template(bicep: str, strict: Path) -> Json:
    return compiled(bicep, strict / "main.bicep")


@pytest.fixture(scope="session")
def events_template(bicep: str, strict: Path) -> Json:
    return compiled(bicep, strict / "events.bicep")
