"""The compiled templates, once for all tests."""

import json
import subprocess
from pathlib import Path

import pytest

from local.tools import PROJECT
from tests.infra import tools
from tests.infra.arm import Json

INFRA = PROJECT / "infra"


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
def main_template(bicep: str) -> Json:
    return compiled(bicep, INFRA / "main.bicep")


@pytest.fixture(scope="session")
def events_template(bicep: str) -> Json:
    return compiled(bicep, INFRA / "events.bicep")
