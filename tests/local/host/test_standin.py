"""The stand-in host with real storage and real worker processes."""

import base64
import json
import time

import pytest

from local.host.standin import POISON_QUEUE, host_id
from tests.local.host.conftest import Start
from tests.support.host_app import HostApp
from tests.support.processes import eventually

A_WHILE = 1.5  # seconds; enough for two more scans


def test_every_upload_is_delivered_once_and_again_when_overwritten(app: HostApp, start: Start) -> None:
    names = ["a.wav", "fr-FR/ä b+c%20#?.wav"]
    with start():
        app.upload(*names)
        eventually(lambda: sorted(app.calls("end")) == sorted(names))
        time.sleep(A_WHILE)
        assert len(app.calls()) == 2
        app.upload("a.wav")
        eventually(lambda: app.calls("end").count("a.wav") == 2)


def test_after_five_failures_the_message_is_on_the_poison_queue(app: HostApp, start: Start) -> None:
    with start():
        app.upload("fail.wav")
        eventually(lambda: any(m["ContainerName"] == app.name for m in app.messages(POISON_QUEUE)))
    with app.container() as container:
        etag = container.get_blob_client("fail.wav").get_blob_properties().etag
    assert [m for m in app.messages(POISON_QUEUE) if m["ContainerName"] == app.name] == [
        {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.take",
            "BlobType": "BlockBlob",
            "ContainerName": app.name,
            "BlobName": "fail.wav",
            "ETag": etag,
        }
    ]
    assert app.calls() == ["fail.wav"] * 5


def test_the_functions_traceback_is_logged(app: HostApp, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with start():
        app.upload("fail.wav")
        eventually(lambda: "Try 5 of 5 failed" in caplog.text)
    assert "ValueError: this upload cannot be used" in caplog.text


def test_a_queue_message_reaches_its_function(app: HostApp, start: Start) -> None:
    with start(), app.queue() as queue:
        queue.send_message(base64.b64encode('{"what": "Grüße"}'.encode()).decode())
        eventually(lambda: app.calls("message") == [['{"what": "Grüße"}', 1]])
        eventually(lambda: queue.get_queue_properties().approximate_message_count == 0)


def test_a_queue_message_that_fails_five_times_goes_to_the_poison_queue_of_its_queue(
    app: HostApp, start: Start
) -> None:
    message = base64.b64encode(b'"fail"').decode()
    with start(), app.queue() as queue:
        queue.send_message(message)
        eventually(lambda: app.messages(f"{app.queue_name}-poison") == ["fail"])
    assert app.calls("message") == [['"fail"', tries] for tries in range(1, 6)]


@pytest.mark.parametrize(
    "outdated", [{"BlobName": "gone.wav"}, {"ETag": '"0xOLD"'}, {"FunctionId": "Host.Functions.removed"}]
)
def test_a_message_about_a_missing_blob_or_function_is_deleted(
    app: HostApp, start_plain: Start, outdated: dict[str, str]
) -> None:
    with start_plain(), app.queue(f"azure-webjobs-blobtrigger-{host_id(app.folder)}") as work:
        app.upload("there.wav")
        eventually(lambda: app.calls() == ["there.wav"])
        message = {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.take",
            "BlobType": "BlockBlob",
            "ContainerName": app.name,
            "BlobName": "there.wav",
            "ETag": '"0xOLD"',
        }
        work.send_message(base64.b64encode(json.dumps(message | outdated).encode()).decode())
        eventually(lambda: work.get_queue_properties().approximate_message_count == 0)
    assert app.calls() == ["there.wav"]
