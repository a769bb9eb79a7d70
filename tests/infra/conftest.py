"""The compiled templates, built once for all tests.

The bicepconfig.json next to this file makes every linter rule an error. Users' machines do not get it: a newer compiler
has new rules, and some of them depend on the date.
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
EVENT_PARAMETERS = {
    "appName": "the-app",
    "systemTopicName": "the-topic",
    "storageAccountName": "the-account",
    "audioContainer": "audio",
    "deadLetterContainer": "dead-letters",
}
STRICT = Path(__file__).parent / "bicepconfig.json"


@pytest.fixture(scope="session")
def bicep() -> str:
    """Return the path of the compiler. Tests that need it are skipped if it is not installed."""
    command = tools.bicep()
    if command is None:
        pytest.skip("no Bicep compiler on the PATH")
    return command


def compiled(bicep: str, file: Path) -> Json:
    build = subprocess.run([bicep, "build", str(file), "--stdout"], capture_output=True, text=True, timeout=60)
    assert (build.returncode, build.stderr) == (0, ""), build.stderr
    return json.loads(build.stdout)


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of infra/ in which every linter rule is an error."""
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
