"""One worker at a time has a claim, and a worker that was away finds out whether it still has it."""

import threading

import pytest
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ServiceRequestError
from azure.storage.blob import BlobLeaseClient

from tests.support.work import SHORTEST_LEASE, Work, eventually
from transcription.errors import Claimed, ClaimLost
from transcription.storage.claims import Claim

SOON = 0.02  # seconds between renewals


def claim_on(work: Work) -> Claim:
    """Return a worker's claim, not taken yet, on a blob that exists."""
    if not work.container.exists():
        work.container.create_container()
        work.blob().create_append_blob()
    return Claim(work.blob(), "a.wav", SHORTEST_LEASE)


def test_a_blob_is_claimed_by_one_worker_at_a_time(work: Work) -> None:
    first, second = claim_on(work), claim_on(work)
    first.take()
    with pytest.raises(Claimed):
        second.take()
    first.give_back()
    second.take()


def test_a_claim_that_is_ending_is_still_taken(work: Work) -> None:
    first, second = claim_on(work), claim_on(work)
    first.take()
    BlobLeaseClient(work.blob()).break_lease(10)
    with pytest.raises(Claimed):
        second.take()


def test_an_expired_claim_that_nobody_took_is_kept(work: Work) -> None:
    claim = claim_on(work)
    claim.take()
    work.expire()
    claim.keep()
    assert not claim.lost
    with pytest.raises(Claimed):
        claim_on(work).take()


def test_an_expired_claim_that_another_worker_took_is_lost_for_good(work: Work) -> None:
    first, second = claim_on(work), claim_on(work)
    first.take()
    work.expire()
    second.take()
    with pytest.raises(ClaimLost):
        first.keep()
    second.give_back()
    with pytest.raises(ClaimLost):
        first.keep()
    assert first.lost
    claim_on(work).take()


def test_a_claim_on_a_blob_that_is_gone_is_lost(work: Work) -> None:
    claim = claim_on(work)
    claim.take()
    work.blob().delete_blob(lease=claim.id)
    with pytest.raises(ClaimLost):
        claim.keep()


def test_a_write_under_an_expired_claim_takes_it_again_first(work: Work) -> None:
    claim = claim_on(work)
    claim.take()
    work.expire()
    claim.under(lambda: work.blob().append_block(b"x", lease=claim.id))
    assert work.content() == b"x"


def test_a_write_under_a_lost_claim_changes_nothing(work: Work) -> None:
    first, second = claim_on(work), claim_on(work)
    first.take()
    work.expire()
    second.take()
    with pytest.raises(ClaimLost):
        first.under(lambda: work.blob().append_block(b"x", lease=first.id))
    second.give_back()
    with pytest.raises(ClaimLost):
        first.under(lambda: work.blob().append_block(b"x", lease=first.id))
    assert work.content() == b""


def test_other_errors_of_a_write_are_not_about_the_claim(work: Work) -> None:
    claim = claim_on(work)
    claim.take()
    with pytest.raises(HttpResponseError, match="409"):
        claim.under(lambda: raise_(HttpResponseError("409")))
    with pytest.raises(ResourceModifiedError):
        claim.under(lambda: raise_(ResourceModifiedError("412")))
    assert not claim.lost


def raise_(error: Exception) -> None:
    raise error


def test_a_thread_renews_the_claim(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_on(work)
    claim.take()
    acquire, renewals = BlobLeaseClient.acquire, threading.Semaphore(0)

    def counted(lease: BlobLeaseClient, seconds: int) -> None:
        acquire(lease, seconds)
        renewals.release()

    monkeypatch.setattr(BlobLeaseClient, "acquire", counted)
    work.expire()
    claim.start_renewing(lambda: None, SOON)
    assert renewals.acquire(timeout=5)
    assert renewals.acquire(timeout=5)
    claim.stop_renewing()
    assert work.blob().get_blob_properties().lease.status == "locked"


def test_the_thread_reports_a_lost_claim_once(work: Work) -> None:
    claim, lost = claim_on(work), list[str]()
    claim.take()
    claim.start_renewing(lambda: lost.append(threading.current_thread().name), SOON)
    work.expire()
    try:
        claim_on(work).take()
    except Claimed:  # the renewal was quicker
        work.blob().delete_blob(lease=claim.id)
    eventually(lambda: bool(lost))
    with pytest.raises(ClaimLost):
        claim.keep()
    assert lost == ["renew a claim"]


def test_a_loss_that_another_thread_finds_is_reported_too(work: Work) -> None:
    claim, lost = claim_on(work), threading.Event()
    claim.take()
    claim.start_renewing(lost.set, 3600)
    work.blob().delete_blob(lease=claim.id)
    with pytest.raises(ClaimLost):
        claim.keep()
    assert lost.wait(5)


def test_a_renewal_that_storage_fails_is_tried_again(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    claim, lost, failures = claim_on(work), threading.Event(), [2]
    claim.take()
    acquire, renewed = BlobLeaseClient.acquire, threading.Event()

    def failing(lease: BlobLeaseClient, seconds: int) -> None:
        failures[0] -= 1
        if failures[0] >= 0:
            raise ServiceRequestError("down")
        acquire(lease, seconds)
        renewed.set()

    monkeypatch.setattr(BlobLeaseClient, "acquire", failing)
    claim.start_renewing(lost.set, SOON)
    assert renewed.wait(5)
    claim.stop_renewing()
    assert not lost.is_set()
    assert caplog.text.count("could not be renewed") == 2


def test_no_renewal_takes_a_claim_again_that_was_given_back(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_on(work)
    claim.take()
    acquire, renewing, go = BlobLeaseClient.acquire, threading.Event(), threading.Event()

    def slow(lease: BlobLeaseClient, seconds: int) -> None:
        renewing.set()
        go.wait(5)
        acquire(lease, seconds)

    monkeypatch.setattr(BlobLeaseClient, "acquire", slow)
    claim.start_renewing(lambda: None, SOON)
    assert renewing.wait(5)
    giving = threading.Thread(target=claim.give_back)
    giving.start()
    go.set()
    giving.join(5)
    assert work.blob().get_blob_properties().lease.status == "unlocked"


def test_a_claim_that_cannot_be_given_back_is_no_error(work: Work) -> None:
    claim = claim_on(work)
    claim.take()
    work.container.delete_container()
    claim.give_back()
