"""Checks that files agree: the settings in the code, the sample and the README, and the limits in host.json."""

import json
import re
from datetime import timedelta
from pathlib import Path

from tests.support.settings import app_settings
from transcription.settings.app import FUNCTION_TIMEOUT_MINUTES, Settings

PROJECT = Path(__file__).parent.parent


def settings_in_code() -> set[str]:
    return set(
        re.findall(
            r'"((?:AZURE_|SPEECH_|AUDIO_|TRANSCRIPT_|MAX_|BLOB_)[A-Z_]+)"', read("transcription/settings/app.py")
        )
    )


def read(path: str) -> str:
    return (PROJECT / path).read_text()


def test_the_sample_settings_have_every_setting() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    assert set(sample) - {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "AudioStorage"} == settings_in_code()


def test_the_values_in_the_sample_settings_are_the_defaults() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    names = settings_in_code()
    values = {name: value for name, value in sample.items() if not value.startswith("<") and name in names}
    required = app_settings(AudioStorage=sample["AudioStorage"])
    assert Settings.read({**required, **values}) == Settings.read(required)


def test_the_readme_lists_every_setting() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", read("README.md"), re.MULTILINE))
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
