"""Checks that files agree: the settings in the code, the sample and the README, and the limits in host.json.

A new setting changes these files:

- `transcription/settings/app.py`: a field, and a line in a `_read_…` function
- `tests/settings/test_app.py`: its default, and a wrong value
- `local.settings.sample.json`: its default
- `infra/settings.bicep`: its type and its default
- `README.md`: a row of the table of settings
- `CHANGELOG.md`: a line
"""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.settings import app_settings
from transcription.errors import Misconfigured
from transcription.settings.app import FUNCTION_TIMEOUT_MINUTES, Settings

PROJECT = Path(__file__).parent.parent


class RecordedNames(dict[str, str]):
    """Settings without any value. Records the names that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def settings_in_code() -> set[str]:
    """Return the settings that the code reads, without parts of a connection such as `AudioStorage__clientId`."""
    recorded = RecordedNames()
    with pytest.raises(Misconfigured):
        Settings.read(recorded)
    return {name for name in recorded.names if "__" not in name}


def read(path: str) -> str:
    return (PROJECT / path).read_text()


def test_the_sample_settings_have_every_setting() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    assert set(sample) - {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"} == settings_in_code()


def test_the_values_in_the_sample_settings_are_the_defaults() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    names = settings_in_code()
    values = {name: value for name, value in sample.items() if not value.startswith("<") and name in names}
    required = app_settings(AudioStorage=sample["AudioStorage"])
    assert Settings.read({**required, **values}) == Settings.read(required)


def test_the_readme_lists_every_setting() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", read("README.md"), re.MULTILINE))
    assert settings_in_code() <= listed


def test_the_budget_of_a_recording_ends_before_the_hosts_timeout() -> None:
    hours, minutes, seconds = map(int, json.loads(read("host.json"))["functionTimeout"].split(":"))
    timeout = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert timeout == timedelta(minutes=FUNCTION_TIMEOUT_MINUTES)
    budget = timedelta(seconds=Settings.read(app_settings()).limits.processing_seconds)
    assert budget <= timeout - timedelta(minutes=5)


def test_every_dependency_is_pinned() -> None:
    for file in (
        "requirements.txt",
        "local/requirements.txt",
        "local/worker-requirements.txt",
        "tests/requirements.txt",
        "bench/requirements.txt",
    ):
        for line in read(file).splitlines():
            requirement = line.partition("#")[0].partition(";")[0].strip()
            assert not requirement or re.fullmatch(r"[\w.-]+==[\w.]+", requirement), f"{file}: {line}"
