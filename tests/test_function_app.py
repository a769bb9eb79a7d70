"""The host can index the functions with any settings, and indexing stays fast."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.host.functions import BlobTrigger, QueueTrigger, TimerTrigger, triggers
from local.host.worker import Worker
from tests.support.processes import bare_environment
from transcription.settings.app import SWEEP_SCHEDULE
from transcription.storage.queues import AGAIN_QUEUE

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
    (function, again, abandoned, sweep), log = index()
    names = [found["name"] for found in (function, again, abandoned, sweep)]
    assert names == ["transcribe", "again", "abandoned", "sweep"]
    (trigger,) = function["bindings"]
    assert (trigger["type"], trigger["direction"]) == ("blobTrigger", "IN")
    assert (trigger["path"], trigger["source"]) == ("audio/{name}", "EventGrid")
    assert trigger["connection"] == "AudioStorage"
    for queue_function, name in ((again, AGAIN_QUEUE), (abandoned, "webjobs-blobtrigger-poison")):
        (queue,) = queue_function["bindings"]
        assert (queue["type"], queue["direction"]) == ("queueTrigger", "IN")
        assert (queue["queueName"], queue["connection"]) == (name, "AudioStorage")
    (timer,) = sweep["bindings"]
    assert (timer["type"], timer["direction"]) == ("timerTrigger", "IN")
    assert (timer["schedule"], timer["runOnStartup"]) == (SWEEP_SCHEDULE, False)
    for name in ("AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AudioStorage"):
        assert f"{name} is missing" in log


def test_settings_decide_the_container_and_the_source() -> None:
    ((function, *_), _) = index(AUDIO_CONTAINER="uploads", BLOB_TRIGGER_SOURCE="LogsAndContainerScan")
    assert function["bindings"][0]["path"] == "uploads/{name}"
    assert function["bindings"][0]["source"] == "LogsAndContainerScan"


@pytest.mark.parametrize("source", ["", "nonsense"])
def test_a_wrong_source_is_logged_and_the_function_is_still_indexed(source: str) -> None:
    ((function, *_), log) = index(BLOB_TRIGGER_SOURCE=source)
    assert function["bindings"][0]["source"] == "EventGrid"
    assert ("BLOB_TRIGGER_SOURCE is 'nonsense'" in log) == bool(source)


def test_a_schedule_decides_when_to_sweep() -> None:
    ((*_, sweep), _) = index(SWEEP_SCHEDULE="0 0 3 * * *")
    assert (sweep["name"], sweep["bindings"][0]["schedule"]) == ("sweep", "0 0 3 * * *")


def test_a_wrong_schedule_is_logged_and_the_sweep_is_still_indexed() -> None:
    ((*_, sweep), log) = index(SWEEP_SCHEDULE="hourly")
    assert (sweep["name"], sweep["bindings"][0]["schedule"]) == ("sweep", SWEEP_SCHEDULE)
    assert "SWEEP_SCHEDULE" in log


def test_without_a_schedule_there_is_no_sweep() -> None:
    functions, _ = index(SWEEP_SCHEDULE="off")
    assert [function["name"] for function in functions] == ["transcribe", "again", "abandoned"]


def test_microsofts_worker_code_accepts_every_function(worker: Path) -> None:
    settings = {**bare_environment(), "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan"}
    process = Worker(worker, PROJECT, settings)
    try:
        transcribe, again, abandoned, sweep = triggers(process.start(), settings)
    finally:
        process.stop()
    assert isinstance(transcribe, BlobTrigger)
    assert again == QueueTrigger("again", "message", "AudioStorage", AGAIN_QUEUE)
    assert abandoned == QueueTrigger("abandoned", "message", "AudioStorage", "webjobs-blobtrigger-poison")
    assert sweep == TimerTrigger("sweep", "timer", SWEEP_SCHEDULE)


def test_each_function_calls_its_part_of_the_job() -> None:
    code = """
import types
import azure.functions as func
from azure.functions.timer import TimerRequest
from unittest.mock import Mock
import function_app
from transcription import job

recorder = Mock()
job.for_this_process = lambda: recorder
functions = {f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}
functions["transcribe"](types.SimpleNamespace(container_name="audio", blob_name="a.wav"))
functions["again"](func.QueueMessage(body=b"one"))
functions["abandoned"](func.QueueMessage(body=b"two"))
functions["sweep"](TimerRequest())
print(list(recorder.mock_calls))
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    expected = "[call.run('audio', 'a.wav'), call.again(b'one'), call.abandon(b'two'), call.sweep()]"
    assert process.stdout.strip() == expected


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
    assert process.stdout.strip() == "4"
