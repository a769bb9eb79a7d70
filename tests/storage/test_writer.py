"""Every answer is written once, in few appends, and what storage refuses is written later."""

import threading
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.storage.blob import BlobClient, BlobLeaseClient

from tests.support.work import SHORTEST_LEASE, Work, answered, eventually
from transcription.errors import ClaimLost
from transcription.storage.answered import Answers, read_lines
from transcription.storage.claims import Claim
from transcription.storage.journal import Journal
from transcription.storage.writer import Writer

HEADER = b"header\n"


class Worker:
    """A worker with everything that a writer needs."""

    def __init__(self, work: Work, header: bytes = HEADER) -> None:
        self.claim = Claim(work.blob(), "a.wav", SHORTEST_LEASE)
        self.journal = Journal(work.container, work.blob(), self.claim)
        self.journal.open()
        self.answers = Answers("a.wav")
        self.writer = Writer(self.journal, self.claim, self.answers, "a.wav")
        self.header = header

    def begin(self) -> "Worker":
        self.writer.begin(self.header)
        return self

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.answers.add(answered(number))


def stored(work: Work) -> list[int]:
    """Return the numbers of the answers in the blob, with repeated ones."""
    header, *lines = work.content().splitlines(keepends=True)
    assert header == HEADER
    return [answer.crc for line in lines for answer in read_lines(line).values()]


class Storage:
    """Storage that fails, or stops, when it is asked to append. `appended` has the length of each append."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing = False
        self.loses_answers = False
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        self.appended: list[int] = []
        self._append = BlobClient.append_block
        monkeypatch.setattr(BlobClient, "append_block", lambda blob, data, **options: self.append(blob, data, options))

    def append(self, blob: BlobClient, data: bytes, options: dict[str, Any]) -> dict[str, Any]:
        self.asked.set()
        self.open.wait(10)
        if self.failing:
            raise ServiceRequestError("down")
        written = self._append(blob, data, **options)
        self.appended.append(data.count(b"\n"))
        if self.loses_answers:  # as the SDK's own retry would send it
            self.loses_answers = False
            return self._append(blob, data, **options)
        return written


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    return Storage(monkeypatch)


def test_nothing_is_written_before_the_journal_is_begun(work: Work) -> None:
    worker = Worker(work)
    worker.add(1)
    worker.writer.flush()
    assert work.content() == b""


def test_answers_that_were_there_before_are_written_at_the_beginning(work: Work) -> None:
    worker = Worker(work)
    worker.add(1, 2)
    worker.begin()
    assert stored(work) == [1, 2]


def test_a_new_answer_is_written_by_itself(work: Work) -> None:
    worker = Worker(work).begin()
    worker.add(1)
    eventually(lambda: b"\n" in work.content())
    worker.add(2)
    eventually(lambda: stored(work) == [1, 2])


def test_answers_that_come_in_during_an_append_are_written_together(work: Work, storage: Storage) -> None:
    worker = Worker(work).begin()
    storage.open.clear()
    worker.add(0)
    assert storage.asked.wait(5)
    worker.add(*range(1, 200))
    storage.open.set()
    eventually(lambda: not worker.answers.pending)
    assert storage.appended == [2, 199], "the first line and one answer, then all others"
    assert stored(work) == list(range(200))


def test_what_storage_failed_to_append_is_written_with_the_next_answer(work: Work, storage: Storage) -> None:
    worker = Worker(work).begin()
    storage.failing = True
    worker.add(1)
    assert storage.asked.wait(5)
    with pytest.raises(AzureError):
        worker.writer.flush()
    storage.failing = False
    worker.add(2)
    eventually(lambda: not worker.answers.pending)
    assert stored(work) == [1, 2]


def test_an_append_that_the_sdk_sends_twice_is_stored_once(work: Work, storage: Storage) -> None:
    worker = Worker(work)
    worker.add(1, 2)
    storage.loses_answers = True
    worker.begin()
    assert stored(work) == [1, 2]
    assert not worker.answers.pending


def test_answers_below_another_header_are_removed(work: Work) -> None:
    first = Worker(work, b"other\n").begin()
    first.add(1)
    first.writer.flush()
    first.claim.give_back()
    second = Worker(work)
    second.add(2)
    second.begin()
    assert stored(work) == [2]
    assert second.answers.find(answered(1).key) is None


def test_answers_of_a_worker_that_came_in_between_are_taken_over(work: Work) -> None:
    first = Worker(work).begin()
    first.add(1)
    first.writer.flush()
    work.expire()
    second = Worker(work).begin()
    second.add(2)
    second.writer.flush()
    second.claim.give_back()
    first.add(3)
    first.writer.flush()
    assert stored(work) == [1, 2, 3]
    assert first.answers.find(answered(2).key)


def test_a_journal_begun_again_with_another_header_in_between_is_lost(work: Work) -> None:
    first = Worker(work).begin()
    first.add(1)
    first.writer.flush()
    work.expire()
    second = Worker(work, b"other\n").begin()
    second.add(2)
    second.writer.flush()
    second.claim.give_back()
    before = work.content()
    with pytest.raises(ClaimLost):
        first.writer.set_attempts(1)
    first.add(3)
    with pytest.raises(ClaimLost):
        first.writer.flush()
    assert work.content() == before
    assert first.claim.lost


def test_a_new_answer_resets_the_attempts_once(work: Work) -> None:
    worker = Worker(work)
    worker.writer.set_attempts(3)
    worker.begin()
    assert work.attempts() == "3", "nothing was answered yet"
    worker.add(1)
    worker.writer.flush()
    assert (work.attempts(), worker.journal.attempts) == ("0", 0)


def test_answers_of_earlier_workers_do_not_reset_the_attempts(work: Work) -> None:
    first = Worker(work).begin()
    first.add(1)
    first.writer.flush()
    first.claim.give_back()
    second = Worker(work)
    second.writer.set_attempts(2)
    second.begin()
    second.add(1)
    second.writer.flush()
    assert work.attempts() == "2"


def test_nothing_is_written_after_the_end(work: Work) -> None:
    worker = Worker(work).begin()
    worker.writer.end()
    worker.add(1)
    worker.writer.flush()
    assert work.content() == b""


def test_nothing_is_written_once_another_worker_has_the_claim(work: Work) -> None:
    first = Worker(work).begin()
    work.expire()
    Worker(work)
    first.add(1)
    with pytest.raises(ClaimLost):
        first.writer.flush()
    assert work.content() == b""


def test_the_threads_of_writers_end_with_their_claims(work: Work) -> None:
    def writers() -> int:
        return sum(thread.name == "write progress" for thread in threading.enumerate())

    before = writers()
    ended = Worker(work).begin()
    ended.writer.end()
    ended.claim.give_back()
    lost = Worker(work).begin()
    work.expire()
    BlobLeaseClient(work.blob()).acquire(15)
    lost.add(1)
    eventually(lambda: lost.claim.lost)
    eventually(lambda: writers() <= before)


def test_a_full_journal_keeps_what_it_has(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(work).begin()
    worker.add(1)
    worker.writer.flush()
    monkeypatch.setattr(Journal, "full", True)
    worker.add(2)
    worker.writer.flush()
    assert not worker.answers.pending
    assert stored(work) == [1]
