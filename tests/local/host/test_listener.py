"""The delivery of a queue's messages: retries, limits, and messages in flight when the host stops."""

import base64
import json
import time
from functools import partial

import pytest
from azure.storage.queue import QueueMessage

from local.host import listener
from local.host.errors import InvocationFailed
from local.host.listener import decode, encode
from local.host.standin import POISON_QUEUE
from tests.local.host.conftest import Start
from tests.support.host_app import HostApp
from tests.support.processes import eventually
from transcription.settings.app import StorageSettings
from transcription.storage.queues import AgainMessage, AgainQueue

WAIT = 1.5  # seconds; less than the delay in host.json, and more than a few polls of a queue


def test_a_failed_queue_message_waits_as_long_as_host_json_says(app: HostApp, start_plain: Start) -> None:
    (app.folder / "host.json").write_text('{"extensions": {"queues": {"visibilityTimeout": "00:00:02"}}}')
    with start_plain(), app.queue() as queue:
        queue.send_message(base64.b64encode(b'"fail"').decode())
        eventually(lambda: len(app.calls("message")) == 1)
        time.sleep(WAIT)
        assert len(app.calls("message")) == 1
        eventually(lambda: len(app.calls("message")) == 2)


def test_the_apps_own_queue_client_is_understood(app: HostApp, start: Start) -> None:
    message = AgainMessage("fr-FR/Grüße.wav", unwritten=2)
    settings = StorageSettings.read({"AudioStorage": app.storage.connection_string})
    with start():
        AgainQueue(settings, app.queue_name).send(message, 0)
        eventually(lambda: len(app.calls("message")) == 1)
    ((text, _),) = app.calls("message")
    assert AgainMessage.decode(text.encode()) == message


def test_a_message_sent_with_a_delay_is_not_delivered_before(app: HostApp, start_plain: Start) -> None:
    with start_plain(), app.queue() as queue:
        queue.send_message(encode("later"), visibility_timeout=3)
        queue.send_message(encode("now"))
        eventually(lambda: app.calls("message") == [["now", 1]])
        time.sleep(WAIT)
        assert app.calls("message") == [["now", 1]]
        eventually(lambda: app.calls("message") == [["now", 1], ["later", 1]])


def test_a_queues_messages_are_processed_up_to_batch_size_plus_threshold(app: HostApp, start_plain: Start) -> None:
    queues = {"batchSize": 2, "newBatchThreshold": 1}
    (app.folder / "host.json").write_text(json.dumps({"extensions": {"queues": queues}}))
    with start_plain(slow_seconds=60), app.queue() as queue:
        for number in range(5):
            queue.send_message(encode(f"slow {number}"))
        eventually(lambda: len(app.calls("message")) == 3)
        time.sleep(WAIT)
        assert len(app.calls("message")) == 3


def test_each_queue_has_its_own_function_and_its_own_poison_queue(app: HostApp, start: Start) -> None:
    other_name = f"{app.queue_name}-other"
    with start(), app.queue() as queue, app.queue(other_name) as other:
        queue.send_message(encode('"fail"'))
        other.send_message(encode('"any"'))
        eventually(lambda: app.messages(f"{app.queue_name}-poison") == ["fail"])
        eventually(lambda: app.messages(f"{other_name}-poison") == ["any"])
    assert app.calls("other") == ['"any"'] * 5
    assert [text for text, _ in app.calls("message")] == ['"fail"'] * 5


def test_a_message_that_is_not_base64_goes_to_the_poison_queue(app: HostApp, start_plain: Start) -> None:
    with start_plain(), app.queue() as queue, app.queue(f"{app.queue_name}-poison") as poison:
        poison.create_queue()
        queue.send_message("not base64!")
        eventually(lambda: [m.content for m in poison.peek_messages()] == ["not base64!"])
    assert app.calls("message") == []


def test_work_interrupted_by_a_stop_is_delivered_again_after_the_next_start(app: HostApp, start_plain: Start) -> None:
    with start_plain(slow_seconds=60):
        app.upload("slow.wav")
        eventually(lambda: app.calls() == ["slow.wav"])
    with start_plain(slow_seconds=0):
        eventually(lambda: app.calls("end") == ["slow.wav"], seconds=10)


def test_a_stop_during_the_last_try_does_not_give_up_on_the_upload(app: HostApp, start_plain: Start) -> None:
    app.upload("slow.wav")
    for tries in range(1, 6):
        with start_plain(slow_seconds=60):
            eventually(partial(app.was_called, tries))
    assert [m for m in app.messages(POISON_QUEUE) if m["ContainerName"] == app.name] == []


def test_uploads_are_processed_concurrently_up_to_the_limit(app: HostApp, start: Start) -> None:
    app.set_parallel(2)
    with start(slow_seconds=0.6):
        app.upload(*(f"slow-{n}.wav" for n in range(5)))
        eventually(lambda: len(app.calls("end")) == 5)
    spans = app.spans()
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) == 2


def test_a_long_recording_is_not_delivered_twice(
    app: HostApp, start_plain: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "VISIBILITY_TIMEOUT", 2)
    monkeypatch.setattr(listener, "RENEW_SECONDS", 0.5)
    with start_plain(slow_seconds=5):
        app.upload("slow.wav")
        eventually(lambda: app.calls("end") == ["slow.wav"])
    assert app.calls() == ["slow.wav"]


@pytest.mark.parametrize("text", ["", "Grüße", "{}"])
def test_decode_reverses_encode(text: str) -> None:
    assert decode(QueueMessage(encode(text))) == text


@pytest.mark.parametrize("content", ["not base64!", base64.b64encode(b"\xff").decode()])
def test_a_message_that_is_not_base64_of_utf_8_fails(content: str) -> None:
    with pytest.raises(InvocationFailed, match="not base64 of UTF-8"):
        decode(QueueMessage(content))
