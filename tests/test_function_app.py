"""The host can index the functions with any settings, and indexing stays fast."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent.parent
INDEX = """
import json, logging, sys
logging.basicConfig(stream=sys.stderr)
import function_app
functions = function_app.app.get_functions()
print(json.dumps([{"name": f.get_function_name(), **json.loads(f.get_function_json())} for f in functions]))
"""


def index(**settings: str) -> tuple[list[dict[str, Any]], str]:
    """Return the functions and the log of a new process that has these settings only."""
    process = subprocess.run(
        [sys.executable, "-c", INDEX],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(process.stdout), process.stderr


def test_without_settings_the_functions_are_indexed_and_the_log_names_what_is_missing() -> None:
    (function, abandoned), log = index()
    assert (function["name"], abandoned["name"]) == ("transcribe", "abandoned")
    (trigger,) = function["bindings"]
    assert (trigger["type"], trigger["direction"]) == ("blobTrigger", "IN")
    assert (trigger["path"], trigger["source"]) == ("audio/{name}", "EventGrid")
    assert trigger["connection"] == "AudioStorage"
    (queue,) = abandoned["bindings"]
    assert (queue["type"], queue["direction"]) == ("queueTrigger", "IN")
    assert (queue["queueName"], queue["connection"]) == ("webjobs-blobtrigger-poison", "AudioStorage")
    for name in ("AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AudioStorage"):
        assert f"{name} is missing" in log


def test_settings_decide_the_container_and_the_source() -> None:
    ((function, _), _) = index(AUDIO_CONTAINER="uploads", BLOB_TRIGGER_SOURCE="LogsAndContainerScan")
    assert function["bindings"][0]["path"] == "uploads/{name}"
    assert function["bindings"][0]["source"] == "LogsAndContainerScan"


@pytest.mark.parametrize("source", ["", "nonsense"])
def test_a_wrong_source_is_logged_and_the_function_is_still_indexed(source: str) -> None:
    ((function, _), log) = index(BLOB_TRIGGER_SOURCE=source)
    assert function["bindings"][0]["source"] == "EventGrid"
    assert ("BLOB_TRIGGER_SOURCE is 'nonsense'" in log) == bool(source)


def test_indexing_imports_nothing_that_only_transcribing_needs() -> None:
    needed = ("transcription.job", "av", "numpy", "tenacity", "aiohttp")
    code = f"import sys, function_app; print([name for name in {needed} if name in sys.modules])"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert process.stdout.strip() == "[]"


def test_the_functions_are_indexed_even_if_a_package_cannot_be_imported() -> None:
    code = (
        "import sys; sys.modules['tenacity'] = None; import function_app; print(len(function_app.app.get_functions()))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert process.stdout.strip() == "2"
