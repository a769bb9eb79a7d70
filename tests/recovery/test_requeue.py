"""Each reason to queue an upload has its wait. Longer waits are left to the sweep."""

import json
import logging

import pytest
from azure.core.exceptions import ServiceResponseError

from tests.support.app import App
from transcription.errors import Claimed, Exhausted, StorageFailed
from transcription.recovery.requeue import CLAIMED_WAIT, LONGEST_WAIT, UNWRITTEN_WAITS, Requeue
from transcription.storage.queues import AgainMessage

MESSAGE = AgainMessage("a.wav")


@pytest.fixture
def requeue(app: App) -> Requeue:
    return Requeue(app.queue)


def test_an_upload_that_another_worker_has_is_looked_at_after_its_claim_ends(app: App, requeue: Requeue) -> None:
    requeue.claimed(MESSAGE)
    assert app.queue.sent == [(MESSAGE, CLAIMED_WAIT)]


def test_work_goes_on_at_once_or_when_the_service_asked_to_come_back(app: App, requeue: Requeue) -> None:
    for wait in (0.0, 7200.0, 10 * LONGEST_WAIT):
        requeue.out_of_time(MESSAGE, Exhausted("late", wait))
    assert [seconds for _, seconds in app.queue.sent] == [0.0, 7200.0, LONGEST_WAIT]


def test_waits_without_any_answer_grow_until_the_sweep_takes_over(app: App, requeue: Requeue) -> None:
    for attempts in range(6):
        requeue.unanswered(MESSAGE, attempts, Exhausted("late"))
    assert [seconds for _, seconds in app.queue.sent] == [15 * 60, 60 * 60, 4 * 60 * 60]


def test_a_service_that_asks_for_a_longer_wait_gets_it(app: App, requeue: Requeue) -> None:
    requeue.unanswered(MESSAGE, 0, Exhausted("late", 7200.0))
    assert [seconds for _, seconds in app.queue.sent] == [7200.0]


def cut() -> None:
    raise ServiceResponseError("cut")


def test_a_document_is_written_later_and_later_until_the_sweep_takes_over(app: App, requeue: Requeue) -> None:
    message = MESSAGE
    for wait in UNWRITTEN_WAITS:
        requeue.unwritten(message, StorageFailed("full"), lambda: None)
        message, seconds = app.queue.sent[-1]
        assert seconds == wait
    requeue.unwritten(message, StorageFailed("full"), lambda: None)
    assert len(app.queue.sent) == len(UNWRITTEN_WAITS)


def test_the_log_names_the_cause_of_a_document_that_cannot_be_written(
    requeue: Requeue, caplog: pytest.LogCaptureFixture
) -> None:
    requeue.unwritten(MESSAGE, StorageFailed("a retention policy"), cut)
    assert "'a.wav': the transcript could not be written and will be later: a retention policy" in caplog.text


def test_answers_that_are_kept_are_enough_if_nothing_can_be_queued(
    app: App, requeue: Requeue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.queue, "send", lambda *_: cut())
    requeue.unwritten(MESSAGE, StorageFailed("full"), lambda: None)
    with pytest.raises(StorageFailed, match="full"):
        requeue.unwritten(MESSAGE, StorageFailed("full"), cut)


def test_another_worker_that_has_the_upload_will_write_it(
    app: App, requeue: Requeue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claimed() -> None:
        raise Claimed("another worker")

    monkeypatch.setattr(app.queue, "send", lambda *_: cut())
    requeue.unwritten(MESSAGE, StorageFailed("full"), claimed)


def test_a_reset_of_the_tries_counts_once(app: App, requeue: Requeue) -> None:
    requeue.unanswered(AgainMessage("a.wav", reset=True), 1, Exhausted("late"))
    assert app.queue.sent[0][0] == MESSAGE


def test_each_message_is_one_line_of_json_in_the_log(requeue: Requeue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    requeue.claimed(MESSAGE)
    line = json.loads(caplog.records[-1].message)
    assert line == {"event": "requeued", "name": "a.wav", "reason": "claimed", "seconds": 120}
