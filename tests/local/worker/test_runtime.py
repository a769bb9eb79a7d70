"""Microsoft's worker code in a worker process."""

from pathlib import Path

import pytest

from local.host import HostError
from local.host.timer import TIMER_INFO
from local.host.worker import Worker
from tests.support.processes import bare_environment

APP = """
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="messages", connection="Storage")
def receive(message: func.QueueMessage) -> None:
    assert isinstance(message, func.QueueMessage)
    raise ValueError(f"{message.get_body().decode()}, delivery {message.dequeue_count}")


@app.blob_trigger(arg_name="upload", path="inbox/{name}", connection="Storage")
def take(upload: blob.BlobClient) -> None:
    assert type(upload).__module__.startswith("azure.storage.blob")
    assert (upload.container_name, upload.blob_name) == ("inbox", "a b.wav")
"""
TIMER = """
import azure.functions as func

app = func.FunctionApp()


@app.timer_trigger(arg_name="timer", schedule="0 */15 * * * *", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    assert isinstance(timer, func.TimerRequest)
    raise ValueError(f"past due: {timer.past_due}")
"""
STORAGE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=aw==;BlobEndpoint=http://127.0.0.1:1/a;"


def start(worker: Path, folder: Path, source: str = APP) -> Worker:
    (folder / "function_app.py").write_text(source)
    (folder / "host.json").write_text('{"version": "2.0"}')
    return Worker(worker, folder, {**bare_environment(), "Storage": STORAGE})


def test_the_functions_are_reported_with_their_bindings(worker: Path, tmp_path: Path) -> None:
    process = start(worker, tmp_path)
    try:
        functions = {function["name"]: function["bindings"] for function in process.start()}
    finally:
        process.stop()
    ((queue,), (blob,)) = functions["receive"], functions["take"]
    assert (queue["type"], queue["queueName"], queue["name"]) == ("queueTrigger", "messages", "message")
    assert (blob["type"], blob["path"], blob["name"]) == ("blobTrigger", "inbox/{name}", "upload")


def test_a_function_gets_the_message_and_its_exception_is_the_answer(worker: Path, tmp_path: Path) -> None:
    process = start(worker, tmp_path)
    try:
        process.start()
        metadata = {"Id": "1", "DequeueCount": "3"}
        request = {"function": "receive", "parameter": "message", "value": {"text": "Grüße"}, "metadata": metadata}
        error = process.invoke(request).result(30)
    finally:
        process.stop()
    assert error is not None
    assert "ValueError: Grüße, delivery 3" in error


def test_a_blob_trigger_gets_the_sdks_own_client(worker: Path, tmp_path: Path) -> None:
    process = start(worker, tmp_path)
    try:
        process.start()
        blob = {"Connection": "Storage", "ContainerName": "inbox", "BlobName": "a b.wav"}
        request = {"function": "take", "parameter": "upload", "value": {"blob": blob}, "metadata": {}}
        assert process.invoke(request).result(30) is None
    finally:
        process.stop()


@pytest.mark.parametrize("past_due", [False, True])
def test_a_timer_trigger_gets_a_timer_request(worker: Path, tmp_path: Path, past_due: bool) -> None:
    process = start(worker, tmp_path, TIMER)
    try:
        (function,) = process.start()
        value = {"timer": {**TIMER_INFO, "IsPastDue": past_due}}
        request = {"function": "tick", "parameter": "timer", "value": value, "metadata": {}}
        error = process.invoke(request).result(30)
    finally:
        process.stop()
    (timer,) = function["bindings"]
    assert (timer["type"], timer["schedule"], timer["runOnStartup"]) == ("timerTrigger", "0 */15 * * * *", False)
    assert f"ValueError: past due: {past_due}" in str(error)


def test_a_parameter_that_no_binding_names_stops_the_start(worker: Path, tmp_path: Path) -> None:
    process = start(worker, tmp_path, APP.replace("(message:", "(letter:"))
    try:
        with pytest.raises(HostError, match="letter"):
            process.start()
    finally:
        process.stop()
