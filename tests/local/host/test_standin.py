"""The stand-in host over real storage and real worker processes."""

import base64
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from local.azurite import Azurite
from local.host import HostError, StandInHost, listener
from local.host.standin import host_id
from local.tools import worker_python
from tests.local.host_app import HostApp, alive, eventually

POISON = "webjobs-blobtrigger-poison"

#: Long enough for the scan to look again, twice.
A_WHILE = 1.5

Start = Callable[..., AbstractContextManager[StandInHost]]


@pytest.fixture
def app(tmp_path: Path, azurite: Azurite) -> HostApp:
    return HostApp(tmp_path, azurite)


def starter(app: HostApp, mode: str) -> Start:
    python = worker_python() if mode == "runtime" else Path(sys.executable)
    if python is None:
        pytest.skip("no Python 3.13 on this machine")
    return lambda **options: app.host(python, **options)


@pytest.fixture(params=["runtime", "plain"])
def start(app: HostApp, request: pytest.FixtureRequest) -> Start:
    """Starts a host with Microsoft's worker code, and one with plain calls."""
    return starter(app, request.param)


@pytest.fixture
def start_plain(app: HostApp) -> Start:
    """For what does not depend on the kind of the worker."""
    return starter(app, "plain")


def test_every_upload_is_delivered_once_and_an_overwrite_again(app: HostApp, start: Start) -> None:
    names = ["a.wav", "fr-FR/ä b+c%20#?.wav"]
    with start():
        app.upload(*names)
        eventually(lambda: sorted(app.calls("end")) == sorted(names))
        time.sleep(A_WHILE)
        assert len(app.calls()) == 2
        app.upload("a.wav")
        eventually(lambda: app.calls("end").count("a.wav") == 2)


def test_after_five_failures_the_poison_queue_has_the_message(app: HostApp, start: Start) -> None:
    with start():
        app.upload("fail.wav")
        eventually(lambda: any(m["ContainerName"] == app.name for m in app.messages(POISON)))
    with app.container() as container:
        etag = container.get_blob_client("fail.wav").get_blob_properties().etag
    assert [m for m in app.messages(POISON) if m["ContainerName"] == app.name] == [
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
    assert "ValueError: this upload is not to my liking" in caplog.text


def test_an_upload_is_delivered_again_when_the_worker_died_under_it(app: HostApp, start: Start) -> None:
    with start() as host:
        first = host.worker_pid
        app.upload("crash-once.wav")
        eventually(lambda: app.calls("end") == ["crash-once.wav"])
        assert host.worker_pid != first
    assert app.calls() == ["crash-once.wav"] * 2


def test_a_death_of_the_worker_counts_as_a_try(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("crash-always.wav")
        eventually(lambda: any(m["ContainerName"] == app.name for m in app.messages(POISON)))
    assert app.calls() == ["crash-always.wav"] * 5


def test_a_queue_message_reaches_its_function(app: HostApp, start: Start) -> None:
    with start(), app.queue(f"{app.name}-told") as queue:
        queue.send_message(base64.b64encode('{"what": "Grüße"}'.encode()).decode())
        eventually(lambda: app.calls("message") == [['{"what": "Grüße"}', 1]])
        eventually(lambda: queue.get_queue_properties().approximate_message_count == 0)


def test_a_queue_message_that_fails_five_times_goes_to_that_queues_poison_queue(app: HostApp, start: Start) -> None:
    message = base64.b64encode(b'"fail"').decode()
    with start(), app.queue(f"{app.name}-told") as queue:
        queue.send_message(message)
        eventually(lambda: app.messages(f"{app.name}-told-poison") == ["fail"])
    assert app.calls("message") == [['"fail"', tries] for tries in range(1, 6)]


def test_a_failed_queue_message_waits_as_long_as_host_json_says(app: HostApp, start_plain: Start) -> None:
    (app.folder / "host.json").write_text('{"extensions": {"queues": {"visibilityTimeout": "00:00:02"}}}')
    with start_plain(), app.queue(f"{app.name}-told") as queue:
        queue.send_message(base64.b64encode(b'"fail"').decode())
        eventually(lambda: len(app.calls("message")) == 1)
        time.sleep(A_WHILE)
        assert len(app.calls("message")) == 1
        eventually(lambda: len(app.calls("message")) == 2)


def test_a_message_that_is_not_base64_is_given_up_too(app: HostApp, start_plain: Start) -> None:
    with start_plain(), app.queue(f"{app.name}-told") as queue, app.queue(f"{app.name}-told-poison") as poison:
        poison.create_queue()
        queue.send_message("not base64!")
        eventually(lambda: [m.content for m in poison.peek_messages()] == ["not base64!"])
    assert app.calls("message") == []


def test_after_a_restart_nothing_is_done_twice(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("a.wav", "b.wav")
        eventually(lambda: len(app.calls("end")) == 2)
    with start_plain():
        time.sleep(A_WHILE)
        app.upload("c.wav")
        eventually(lambda: len(app.calls("end")) == 3)
    assert sorted(app.calls()) == ["a.wav", "b.wav", "c.wav"]


def test_what_the_stop_interrupts_is_done_at_the_next_start(app: HostApp, start_plain: Start) -> None:
    with start_plain(slow_seconds=60):
        app.upload("slow.wav")
        eventually(lambda: app.calls() == ["slow.wav"])
    with start_plain(slow_seconds=0):
        eventually(lambda: app.calls("end") == ["slow.wav"], seconds=10)


def test_a_stop_under_the_last_try_gives_nothing_up(app: HostApp, start_plain: Start) -> None:
    app.upload("slow.wav")
    for tries in range(1, 6):
        with start_plain(slow_seconds=60):
            eventually(partial(app.was_called, tries))
    assert [m for m in app.messages(POISON) if m["ContainerName"] == app.name] == []


def test_uploads_are_worked_on_side_by_side_within_the_limit(app: HostApp, start: Start) -> None:
    app.limits(parallel=2)
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


@pytest.mark.parametrize("known", [{"BlobName": "gone.wav"}, {"ETag": '"0xOLD"'}, {"FunctionId": "Host.Functions.was"}])
def test_a_message_about_what_is_gone_is_acknowledged(app: HostApp, start_plain: Start, known: dict[str, str]) -> None:
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
        work.send_message(base64.b64encode(json.dumps(message | known).encode()).decode())
        eventually(lambda: work.get_queue_properties().approximate_message_count == 0)
    assert app.calls() == ["there.wav"]


def test_a_lost_receipt_only_means_another_delivery(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("a.wav")
        eventually(lambda: app.calls("end") == ["a.wav"])
    hosts = ContainerClient.from_connection_string(app.storage.connection_string, "azure-webjobs-hosts")
    with hosts:
        (receipt,) = hosts.list_blob_names(name_starts_with=f"blobreceipts/{host_id(app.folder)}/")
        hosts.delete_blob(receipt)
    with start_plain():
        eventually(lambda: app.calls("end") == ["a.wav", "a.wav"])


def test_names_of_any_length_are_delivered_once(app: HostApp, start_plain: Start) -> None:
    longest = "é" * 1019 + ".wav"
    with start_plain():
        app.upload(longest)
        eventually(lambda: app.calls("end") == [longest])
        time.sleep(A_WHILE)
    assert app.calls() == [longest]


def test_an_app_that_does_not_index_stops_the_start(app: HostApp, start: Start) -> None:
    (app.folder / "function_app.py").write_text("import nowhere_to_be_found")
    with pytest.raises(HostError, match="nowhere_to_be_found"), start():
        pass


def test_the_stop_leaves_no_process(app: HostApp, start: Start) -> None:
    with start(slow_seconds=60) as host:
        app.upload("slow.wav")
        eventually(lambda: app.calls() == ["slow.wav"])
        pid = host.worker_pid
        assert pid is not None
        assert alive(pid)
    assert not alive(pid)
