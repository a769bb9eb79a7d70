"""A journal is created when needed, and written only in the state that its worker knows."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError, ServiceRequestError
from azure.storage.blob import BlobClient, BlobProperties

from tests.support.work import SHORTEST_LEASE, Work
from transcription.errors import Claimed, ClaimLost
from transcription.storage import journal as module
from transcription.storage.claims import Claim
from transcription.storage.journal import MAX_APPEND, Journal


def journal_in(work: Work) -> Journal:
    return Journal(work.container, work.blob(), Claim(work.blob(), "a.wav", SHORTEST_LEASE))


def opened(work: Work) -> Journal:
    journal = journal_in(work)
    journal.open()
    return journal


def test_the_container_and_the_blob_are_created_when_they_are_needed(work: Work) -> None:
    journal = opened(work)
    assert (journal.size, journal.attempts, journal.load()) == (0, 0, b"")
    assert work.content() == b""


def test_of_many_workers_that_open_a_new_journal_one_has_the_claim(work: Work) -> None:
    def open_one(_: int) -> bool:
        try:
            opened(work)
        except Claimed:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(open_one, range(16))) == 1


def test_a_new_journal_is_not_read(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("a request too many")

    work.container.create_container()
    monkeypatch.setattr(BlobClient, "get_blob_properties", unwanted)
    monkeypatch.setattr(BlobClient, "download_blob", unwanted)
    assert opened(work).load() == b""


def test_the_lines_and_attempts_of_an_earlier_worker_are_found(work: Work) -> None:
    first = opened(work)
    first.append(b"one\n")
    first.set_attempts(3)
    first.append(b"two\n")
    work.expire()
    second = opened(work)
    assert (second.attempts, second.load()) == (3, b"one\ntwo\n")


def test_a_cleared_journal_keeps_its_attempts_and_its_claim(work: Work) -> None:
    journal = opened(work)
    journal.append(b"one\n")
    journal.set_attempts(2)
    journal.clear()
    assert (journal.size, work.content(), work.attempts()) == (0, b"", "2")
    with pytest.raises(Claimed):
        opened(work)
    journal.append(b"two\n")
    assert work.content() == b"two\n"


def test_a_line_behind_a_torn_one_begins_on_a_line_of_its_own(work: Work) -> None:
    opened(work).append(b"one\ntor")
    work.expire()
    journal = opened(work)
    journal.load()
    journal.append(b"two\n")
    journal.append(b"three\n")
    assert work.content() == b"one\ntor\ntwo\nthree\n"


def test_an_append_of_the_greatest_length_is_accepted_even_behind_a_torn_line(work: Work) -> None:
    journal = opened(work)
    journal.append(b"torn")
    journal.load()
    journal.append(b"x" * MAX_APPEND)
    assert journal.size == len(work.content()) == 4 + 1 + MAX_APPEND


@pytest.mark.parametrize("step", ["append", "clear", "attempts"])
def test_a_write_fails_if_another_worker_wrote_in_between(work: Work, step: str) -> None:
    journal = opened(work)
    work.expire()
    work.blob().append_block(b"theirs\n")
    writes: dict[str, Callable[[], None]] = {
        "append": lambda: journal.append(b"mine\n"),
        "clear": journal.clear,
        "attempts": lambda: journal.set_attempts(1),
    }
    write = writes[step]
    with pytest.raises(ResourceModifiedError):
        write()
    assert (work.content(), work.attempts()) == (b"theirs\n", None)
    journal.look()
    write()


def test_an_expired_claim_is_taken_again_with_the_next_write(work: Work) -> None:
    journal = opened(work)
    work.expire()
    journal.append(b"one\n")
    with pytest.raises(Claimed):
        opened(work)


@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_written_under_a_lost_claim(work: Work, gone: bool) -> None:
    journal = opened(work)
    work.expire()
    if gone:
        work.blob().delete_blob()
    else:
        opened(work)
    writes: list[Callable[[], None]] = [
        lambda: journal.append(b"x"),
        journal.clear,
        lambda: journal.set_attempts(1),
        journal.delete,
    ]
    for write in writes:
        with pytest.raises(ClaimLost):
            write()
    assert work.blob().exists() is not gone


def test_a_deleted_journal_is_gone(work: Work) -> None:
    journal = opened(work)
    journal.append(b"one\n")
    journal.delete()
    assert not work.blob().exists()
    assert opened(work).load() == b""


def test_a_blob_that_is_no_append_blob_can_be_replaced(work: Work) -> None:
    work.container.create_container()
    work.blob().upload_blob(b"something else")
    journal = opened(work)
    assert journal.load() == b"something else"
    journal.clear()
    journal.append(b"one\n")
    assert work.content() == b"one\n"


def test_a_blob_that_is_too_long_is_not_read(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(work).append(b"x" * 100)
    work.expire()
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    journal = opened(work)
    assert (journal.load(), journal.size) == (b"", 100)


def test_a_journal_is_full_before_it_is_too_long_to_be_read(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_APPEND", 10)
    monkeypatch.setattr(module, "MAX_BYTES", 30)
    journal = opened(work)
    while not journal.full:
        journal.append(b"x" * 9 + b"\n")
    assert journal.load() == work.content()


def test_a_journal_with_the_most_blocks_is_full(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BLOCKS", 2)
    journal = opened(work)
    journal.append(b"1\n")
    assert not journal.full
    journal.append(b"2\n")
    assert journal.full


@pytest.mark.parametrize(("stored", "attempts"), [("4", 4), ("", 0), ("-1", 0), ("many", 0), ("9" * 400, 0), ("٣", 0)])
def test_attempts_that_are_no_number_count_as_none(stored: str, attempts: int) -> None:
    blob = BlobProperties()
    blob.metadata = {"Attempts": stored}
    assert module.stored_attempts(blob) == attempts


def test_a_claim_is_given_back_if_its_state_cannot_be_read(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.container.create_container()
    work.blob().create_append_blob()

    def failing(*_: object, **__: object) -> None:
        raise ServiceRequestError("down")

    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "get_blob_properties", failing)
        with pytest.raises(ServiceRequestError):
            opened(work)
    opened(work)


def test_a_container_that_cannot_be_created_is_an_error_of_storage(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(work.container), "create_container", lambda *_, **__: None)
    with pytest.raises(ResourceNotFoundError):
        opened(work)
