"""An attempt ends with a document or on the queue, and nothing is paid for twice."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobLeaseClient

from local.speech import Fault
from tests.support.app import App
from tests.support.sound import murmur, wav
from transcription.errors import StorageFailed
from transcription.recovery.requeue import CLAIMED_WAIT, LONGEST_WAIT, UNWRITTEN_WAITS
from transcription.storage.progress import ATTEMPT_WAITS, MAX_ATTEMPTS, Progress, progress_name
from transcription.storage.transcripts import Transcripts
from transcription.storage.uploads import Uploads

PAUSE = bytes(2 * 32_000)
SHORT = wav(murmur(2.0))
LONG = wav((murmur(3.0) + PAUSE) * 6)  # six clips
ONE = {"SPEECH_MAX_CONCURRENT_REQUESTS": "1"}
BUSY = Fault.status(503, headers={"Retry-After": "50"})


def waits(app: App) -> list[float]:
    return [seconds for _, seconds in app.queue.sent]


def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every write of a document fail, until the returned function is called."""
    write, refused = Transcripts.write, threading.Event()

    def failing(*arguments: Any) -> bool:
        if refused.is_set():
            return write(*arguments)
        raise ServiceResponseError("cut")

    monkeypatch.setattr(Transcripts, "write", failing)
    return refused.set


def test_a_short_recording_leaves_nothing_in_the_work_container(app: App) -> None:
    app.upload("a.wav", SHORT)
    app.run("a.wav")
    assert (app.work.exists(), app.queue.sent) == (False, [])


def test_a_short_recording_takes_five_requests_to_storage(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for the upload's properties, two for the document, one for the bytes."""
    app.upload("a.wav", SHORT)
    the_job = app.job()
    send, sent = RequestsTransport.send, []

    def counted(transport: RequestsTransport, request: Any, **options: Any) -> Any:
        sent.append((request.method, request.url.partition("?")[0]))
        return send(transport, request, **options)

    monkeypatch.setattr(RequestsTransport, "send", counted)
    the_job.run(app.audio.container_name, "a.wav")
    assert [method for method, _ in sent] == ["HEAD", "HEAD", "GET", "HEAD", "PUT"]


def test_a_long_recording_leaves_no_progress_once_its_document_is_there(app: App) -> None:
    app.upload("a.wav", LONG)
    app.run("a.wav")
    assert (app.document("a.wav")["status"], app.requests, app.progress()) == ("Succeeded", 6, [])


def test_what_is_left_when_the_time_is_up_continues_without_a_request_twice(app: App) -> None:
    app.endpoint.faults.extend([*[Fault.none()] * 2, *[BUSY] * 3])
    app.upload("a.wav", LONG)
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    assert app.documents() == []
    assert [(message.name, seconds) for message, seconds in app.queue.sent] == [("a.wav", 50.0)]
    app.endpoint.faults.clear()
    before = app.requests
    app.again()
    document = app.document("a.wav")
    assert (document["status"], len(document["phrases"]), document["gaps"]) == ("Succeeded", 6, [])
    assert app.requests == before + 4
    recognition = document["recognition"]
    assert (recognition["requests"] - recognition["retries"], recognition["audioSecondsSent"]) == (
        6,
        pytest.approx(20, 0.1),
    )
    assert (app.progress(), app.queue.sent) == ([], [])


def test_a_recording_that_had_no_turn_goes_to_the_queue_without_a_document(app: App) -> None:
    """Another recording of the process was answered meanwhile, so nothing is wrong with the service."""
    app.upload("a.wav", SHORT)
    app.upload("b.wav", LONG)
    the_job = app.job(MAX_PROCESSING_MINUTES="1", **ONE)
    app.endpoint.faults.append(Fault.slow(0.5))
    first = threading.Thread(target=the_job.run, args=(app.audio.container_name, "b.wav"))
    first.start()
    while not app.requests:
        threading.Event().wait(0.005)
    app.endpoint.faults.extend([BUSY] * 50)
    the_job.run(app.audio.container_name, "a.wav")
    first.join(30)
    assert app.documents() == []
    assert {message.name for message, _ in app.queue.sent} == {"a.wav", "b.wav"}


def test_a_service_that_answers_nobody_is_reported_and_tried_again_later(app: App) -> None:
    app.endpoint.faults.extend([Fault.status(503, b"maintenance")] * 100)
    app.upload("a.wav", SHORT)
    app.run("a.wav", MAX_PROCESSING_MINUTES="2")
    error = app.document("a.wav")["error"]
    assert (error["code"], error["tryAgain"]) == ("Exhausted", True)
    assert "503: maintenance" in error["message"]
    for attempt in range(1, 3):
        assert waits(app) == [ATTEMPT_WAITS[attempt - 1]]
        app.again(MAX_PROCESSING_MINUTES="2")
    app.endpoint.faults.clear()
    app.again()
    assert (app.document("a.wav")["status"], app.queue.sent, app.progress()) == ("Succeeded", [], [])


def test_a_service_that_asks_to_wait_for_hours_gets_the_recording_back_then(app: App) -> None:
    app.endpoint.faults.extend([Fault.status(429, headers={"Retry-After": "7200"})] * 100)
    app.upload("a.wav", SHORT)
    app.run("a.wav")
    assert (waits(app), app.documents(), app.requests) == ([7200.0], [], 1)


def test_five_tries_without_any_answer_are_the_last(app: App) -> None:
    app.upload("a.wav", SHORT)
    app.endpoint.faults.extend([Fault.status(503)] * 10_000)
    app.run("a.wav", MAX_PROCESSING_MINUTES="1")
    tries = 0
    while app.queue.sent and tries < 10:
        message, _ = app.queue.sent[-1]
        app.again(MAX_PROCESSING_MINUTES="1")
        tries += 1
        if not app.queue.sent and app.document("a.wav")["error"]["tryAgain"]:
            app.queue.sent.append((message, 0.0))  # the next wait is a day: the sweep sends it
    error = app.document("a.wav")["error"]
    assert (tries, error["code"], error["tryAgain"]) == (MAX_ATTEMPTS + 1, "Abandoned", False)
    requests = app.requests
    app.queue.sent.append((message, 0.0))
    app.again()
    assert app.requests == requests, "it is finished"


def test_a_clip_that_always_fails_is_a_gap_in_the_end(app: App) -> None:
    """Another recording of the process is answered meanwhile, so the service works."""
    app.upload("a.wav", LONG)
    app.endpoint.faults.extend([*[Fault.none()] * 5, *[Fault.status(500)] * 1000])
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    for attempt in range(MAX_ATTEMPTS):
        app.endpoint.faults.appendleft(Fault.none())
        app.upload(f"{attempt}.wav", SHORT)
        the_job = app.job(MAX_PROCESSING_MINUTES="1", **ONE)
        other = threading.Thread(target=the_job.run, args=(app.audio.container_name, f"{attempt}.wav"))
        other.start()
        other.join(30)
        the_job.again(b'{"name": "a.wav"}')
    document = app.document("a.wav")
    assert (document["status"], len(document["phrases"])) == ("Partial", 5)
    assert [gap["reason"] for gap in document["gaps"]] == ["Abandoned"]
    requests = app.requests
    app.job().again(b'{"name": "a.wav"}')
    assert app.requests == requests, "it is finished"


def test_one_failure_among_answers_does_not_make_a_recording_wait(app: App) -> None:
    app.upload("a.wav", LONG)
    app.endpoint.faults.extend([Fault.none(), Fault.status(500), Fault.none(), *[BUSY] * 3])
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    assert waits(app) == [50.0]


def test_storage_that_cannot_be_read_is_no_failure_of_the_upload(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.upload("a.wav", SHORT)
    read = Uploads.read

    def cut(*_: object) -> bytes:
        raise ServiceResponseError("cut")

    monkeypatch.setattr(Uploads, "read", cut)
    for _ in range(2 * MAX_ATTEMPTS):
        with pytest.raises(StorageFailed):
            app.job().again(b'{"name": "a.wav"}')
    monkeypatch.setattr(Uploads, "read", read)
    app.job().again(b'{"name": "a.wav"}')
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_worker_that_lost_its_claim_with_all_clips_in_flight_writes_nothing(app: App) -> None:
    etag = app.upload("a.wav", wav((murmur(3.0) + PAUSE) * 4))
    app.endpoint.faults.extend([Fault.slow(1.5)] * 4)
    worker = threading.Thread(target=app.run, args=("a.wav",))
    worker.start()
    while app.requests < 4:
        threading.Event().wait(0.005)
    blob = app.work.get_blob_client(progress_name("a.wav", etag))
    BlobLeaseClient(blob).break_lease(0)
    thief = BlobLeaseClient(blob)
    thief.acquire(60)
    worker.join(30)
    assert (app.documents(), waits(app)) == ([], [CLAIMED_WAIT])
    thief.release()


def test_redrive_tries_an_abandoned_upload_again(app: App) -> None:
    test_five_tries_without_any_answer_are_the_last(app)
    app.endpoint.faults.clear()
    app.job().again(b'{"name": "a.wav", "reset": true}')
    assert app.document("a.wav")["status"] == "Succeeded"


def test_an_upload_that_another_worker_has_is_left_to_it(app: App) -> None:
    etag = app.upload("a.wav", LONG)
    app.work.create_container()
    blob = app.work.get_blob_client(progress_name("a.wav", etag))
    blob.create_append_blob()
    lease = BlobLeaseClient(blob)
    lease.acquire(60)
    app.run("a.wav")
    assert (app.requests, app.documents(), waits(app)) == (0, [], [CLAIMED_WAIT])
    lease.release()
    app.again()
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_worker_that_lost_its_claim_writes_nothing(app: App) -> None:
    etag = app.upload("a.wav", LONG)
    app.endpoint.faults.append(Fault.slow(1.0))  # so nothing is written meanwhile
    worker = threading.Thread(target=app.run, args=("a.wav",), kwargs=ONE)
    worker.start()
    while not app.requests:
        threading.Event().wait(0.005)
    blob = app.work.get_blob_client(progress_name("a.wav", etag))
    BlobLeaseClient(blob).break_lease(0)
    thief = BlobLeaseClient(blob)
    thief.acquire(60)
    worker.join(30)
    assert (app.documents(), waits(app)) == ([], [CLAIMED_WAIT])
    thief.release()


def test_two_events_of_a_long_recording_pay_once(app: App) -> None:
    app.upload("a.wav", LONG)
    app.endpoint.faults.append(Fault.slow(0.3))
    the_job = app.job()
    workers = [threading.Thread(target=the_job.run, args=(app.audio.container_name, "a.wav")) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert (app.document("a.wav")["status"], app.requests) == ("Succeeded", 6)
    for _ in range(len(app.queue.sent)):
        app.again()
    assert app.requests == 6


def test_an_event_that_claims_a_recording_just_after_its_end_pays_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked for the document before the other worker wrote it, and claims after that worker has finished."""
    app.upload("a.wav", LONG)
    claim = Progress.claim

    def late_claim(progress: Progress) -> None:
        monkeypatch.setattr(Progress, "claim", claim)
        app.run("a.wav")
        claim(progress)

    monkeypatch.setattr(Progress, "claim", late_claim)
    app.run("a.wav")
    assert (app.document("a.wav")["status"], app.requests, app.progress()) == ("Succeeded", 6, [])


@pytest.mark.parametrize(("content", "requests"), [(SHORT, 1), (LONG, 6)], ids=["short", "long"])
def test_a_document_that_storage_refuses_is_written_later_without_a_request(
    app: App, monkeypatch: pytest.MonkeyPatch, content: bytes, requests: int
) -> None:
    allow = refuse_writing(monkeypatch)
    app.upload("a.wav", content)
    app.run("a.wav")
    for wait in UNWRITTEN_WAITS[:2]:
        assert waits(app) == [wait]
        app.again()
    allow()
    app.again()
    assert (app.document("a.wav")["status"], app.requests) == ("Succeeded", requests)
    assert (app.progress(), app.queue.sent) == ([], [])


def test_after_three_tries_to_write_the_sweep_takes_over(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_writing(monkeypatch)
    app.upload("a.wav", SHORT)
    app.run("a.wav")
    for _ in UNWRITTEN_WAITS:
        app.again()
    assert (app.queue.sent, len(app.progress()), app.requests) == ([], 1, 1)


def test_storage_that_takes_neither_document_nor_answers_is_left_to_the_host(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise ServiceResponseError("cut")

    refuse_writing(monkeypatch)
    app.upload("a.wav", SHORT)
    monkeypatch.setattr(app.queue, "send", cut)
    monkeypatch.setattr(
        "transcription.storage.progress.Progress.claim", lambda _: (_ for _ in ()).throw(ServiceResponseError("cut"))
    )
    with pytest.raises(StorageFailed):
        app.run("a.wav")


def test_answers_from_before_the_key_was_refused_are_not_paid_for_again(app: App) -> None:
    app.upload("a.wav", LONG)
    app.endpoint.faults.extend([*[Fault.none()] * 2, Fault.status(401)])
    app.run("a.wav", **ONE)
    partial = app.document("a.wav")
    assert (partial["status"], partial["error"]["code"], len(partial["phrases"])) == ("Partial", "Configuration", 2)
    before = app.requests
    app.job().again(b'{"name": "a.wav"}')
    assert (app.document("a.wav")["status"], app.requests) == ("Succeeded", before + 4)


def test_a_wrong_key_never_abandons_an_upload(app: App) -> None:
    app.upload("a.wav", SHORT)
    for _ in range(MAX_ATTEMPTS + 2):
        app.job(AZURE_SPEECH_KEY="f" * 32).again(b'{"name": "a.wav"}')
        assert app.document("a.wav")["error"]["code"] == "Configuration"
    app.endpoint.faults.extend([Fault.status(503)] * 1000)
    app.job(MAX_PROCESSING_MINUTES="1").again(b'{"name": "a.wav"}')
    assert app.document("a.wav")["error"]["code"] == "Exhausted", "the first try with the right key is not the last"
    app.endpoint.faults.clear()
    app.job().again(b'{"name": "a.wav"}')
    assert app.document("a.wav")["status"] == "Succeeded"


def test_other_options_use_none_of_the_older_answers(app: App) -> None:
    app.endpoint.faults.extend([*[Fault.none()] * 2, *[BUSY] * 3])
    app.upload("a.wav", LONG)
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    app.endpoint.faults.clear()
    before = app.requests
    app.again(SPEECH_PROFANITY="raw")
    assert (app.document("a.wav")["status"], app.requests) == ("Succeeded", before + 6)


def test_an_upload_that_is_replaced_leaves_no_progress(app: App) -> None:
    app.upload("a.wav", LONG)
    app.endpoint.faults.append(Fault.slow(0.3))
    worker = threading.Thread(target=app.run, args=("a.wav",))
    worker.start()
    while not app.requests:
        threading.Event().wait(0.005)
    app.upload("a.wav", SHORT)
    worker.join(30)
    assert (app.document("a.wav")["durationSeconds"], app.progress()) == (2.0, [])


def test_the_log_says_why_an_upload_was_queued(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app.endpoint.faults.extend([Fault.none(), *[BUSY] * 3])
    app.upload("a.wav", LONG)
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    assert '{"event": "requeued", "name": "a.wav", "reason": "time", "seconds": 50}' in caplog.text
    assert LONGEST_WAIT > 50


def test_a_message_that_names_no_upload_is_dropped(app: App) -> None:
    app.job().again(b"not json")
    app.job().again(b'{"name": "gone.wav"}')
    assert app.documents() == []


def test_the_words_from_before_the_key_was_refused_are_kept_of_a_recording_that_is_still_being_read(app: App) -> None:
    app.upload("a.wav", wav((murmur(1.0) + PAUSE) * 100))  # more clips than are read ahead
    app.endpoint.faults.extend([*[Fault.none()] * 10, *[Fault.status(401)] * 1000])
    app.run("a.wav", **ONE)
    partial = app.document("a.wav")
    assert (partial["status"], partial["error"]["code"], len(partial["phrases"])) == ("Partial", "Configuration", 10)


def test_the_last_try_of_a_recording_that_is_still_being_read_keeps_its_words(app: App) -> None:
    app.upload("a.wav", wav((murmur(1.0) + PAUSE) * 100))  # more clips than are read ahead
    app.endpoint.faults.extend([*[Fault.none()] * 10, *[Fault.status(500)] * 10_000])
    app.run("a.wav", MAX_PROCESSING_MINUTES="1", **ONE)
    for _ in range(MAX_ATTEMPTS):
        app.job(MAX_PROCESSING_MINUTES="1", **ONE).again(b'{"name": "a.wav"}')
    document = app.document("a.wav")
    assert (document["status"], len(document["phrases"])) == ("Partial", 10)
