"""Direct calls of functions, without Microsoft's worker code."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from local.host import HostError
from local.host.timer import TIMER_INFO
from local.host.worker import Worker
from local.worker.plain import PlainApp, argument
from tests.support.processes import bare_environment

APP = """
import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="messages", connection="Storage")
async def receive(message: func.QueueMessage) -> None:
    raise ValueError(message.get_body().decode())
"""
MESSAGE = {"value": {"text": "Grüße"}, "metadata": {"Id": "1", "DequeueCount": "3"}}


def test_an_async_function_is_called_and_its_exception_is_the_answer(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(APP)
    process = Worker(Path(sys.executable), tmp_path, bare_environment())
    try:
        (function,) = process.start()
        error = process.invoke({"function": "receive", "parameter": "message", **MESSAGE}).result(30)
    finally:
        process.stop()
    assert [binding["queueName"] for binding in function["bindings"]] == ["messages"]
    assert error is not None
    assert "ValueError: Grüße" in error


def test_an_app_that_raises_while_imported_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("raise ValueError('no such day')")
    process = Worker(Path(sys.executable), tmp_path, bare_environment())
    try:
        with pytest.raises(HostError, match="no such day"):
            process.start()
    finally:
        process.stop()


def test_an_unknown_function_is_an_error() -> None:
    with pytest.raises(KeyError):
        asyncio.run(PlainApp().invoke({"function": "nothing", "parameter": "message", **MESSAGE}))


def test_a_queue_trigger_gets_a_message() -> None:
    message: Any = argument(MESSAGE)
    assert isinstance(message, QueueMessage)
    assert (message.id, message.get_body().decode(), message.dequeue_count) == ("1", "Grüße", 3)


@pytest.mark.parametrize("past_due", [False, True])
def test_a_timer_trigger_gets_a_timer_request(past_due: bool) -> None:
    timer = argument({"value": {"timer": {**TIMER_INFO, "IsPastDue": past_due}}, "metadata": {}})
    assert isinstance(timer, TimerRequest)
    assert timer.past_due == past_due


def test_a_blob_trigger_gets_the_blobs_names() -> None:
    blob = {"Connection": "Storage", "ContainerName": "inbox", "BlobName": "a b.wav"}
    upload = argument({"value": {"blob": blob}, "metadata": {}})
    assert (upload.container_name, upload.blob_name) == ("inbox", "a b.wav")
