"""Files that must say the same: the settings in the code, the sample, the README; the limits in host.json."""

import json
import re
from datetime import timedelta
from pathlib import Path

from tests.support.settings import app_settings
from transcription import errors
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


def test_the_sample_has_every_setting() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    assert set(sample) - {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "AudioStorage"} == settings_in_code()


def test_the_samples_values_are_the_defaults() -> None:
    sample = json.loads(read("local.settings.sample.json"))["Values"]
    shown = {name: value for name, value in sample.items() if not value.startswith("<") and name in settings_in_code()}
    plain = app_settings(AudioStorage=sample["AudioStorage"])
    assert Settings.read({**plain, **shown}) == Settings.read(plain)


def test_the_readme_has_every_setting() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", read("README.md"), re.MULTILINE))
    assert settings_in_code() <= listed


def test_a_recordings_budget_ends_before_the_host_ends_the_function() -> None:
    hours, minutes, seconds = map(int, json.loads(read("host.json"))["functionTimeout"].split(":"))
    timeout = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    assert timeout == timedelta(minutes=FUNCTION_TIMEOUT_MINUTES)
    budget = timedelta(seconds=Settings.read(app_settings()).limits.processing_seconds)
    assert budget <= timeout - timedelta(minutes=5)


def test_the_schema_knows_every_error_code() -> None:
    schema = json.loads(read("transcription/transcript/transcript.schema.json"))
    known = set(schema["$defs"]["error"]["properties"]["code"]["enum"])
    classes = (value for value in vars(errors).values() if isinstance(value, type))
    raised = {error.code for error in classes if issubclass(error, errors.TranscriptionError)} - {""}
    assert raised <= known


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
