"""A worker that continues finds every answer, one worker at a time has the claim, and storage's failures lose none."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobClient, BlobLeaseClient

from tests.support.clock import FakeClock
from tests.support.work import UPLOAD, Work, answered, eventually
from transcription.errors import Claimed, ClaimLost
from transcription.storage import progress as module
from transcription.storage.account import WRITE_WAITS
from transcription.storage.answered import header_line
from transcription.storage.progress import PROGRESS_PREFIX, progress_name


def test_an_upload_and_its_content_have_one_name() -> None:
    names = {
        progress_name(*parts) for parts in [("a.wav", "0x1"), ("a.wav", "0x12"), ("a.wav0x1", ""), ("b.wav", "0x1")]
    }
    assert len(names) == 4
    assert all(name.startswith(PROGRESS_PREFIX) and len(name) < 100 for name in names)
    assert progress_name(UPLOAD.name, UPLOAD.etag) == progress_name(UPLOAD.name, UPLOAD.etag)


def test_a_worker_that_continues_finds_every_answer(work: Work) -> None:
    first = work.begun()
    for number in range(50):
        first.add(answered(number, b'{"DisplayText": "caf\xc3\xa9 \\n %d"}' % number))
    first.release()
    second = work.begun()
    for number in range(50):
        found = second.find(number * 16_000, (number + 1) * 16_000, number)
        assert found
        assert found == answered(number, b'{"DisplayText": "caf\xc3\xa9 \\n %d"}' % number)


def test_an_answer_is_found_only_for_the_same_samples(work: Work) -> None:
    progress = work.progress()
    progress.add(replace(answered(1), crc=zlib.crc32(b"samples")))
    assert progress.find(16_000, 32_000, zlib.crc32(b"samples"))
    assert progress.find(16_000, 32_000, zlib.crc32(b"others")) is None
    assert progress.find(16_000, 32_001, zlib.crc32(b"samples")) is None
    assert progress.find(16_000, 32_000, zlib.crc32(b"samples"), channel=1) is None


def test_an_upload_that_is_never_claimed_leaves_nothing_in_storage(work: Work) -> None:
    progress = work.progress()
    progress.add(answered(1))
    assert progress.find(*answered(1).key[:3]) == answered(1)
    progress.confirm()
    progress.release()
    progress.delete()
    assert (progress.claimed, progress.attempts) == (False, 0)
    assert not work.container.exists()


def test_two_workers_cannot_claim_one_upload(work: Work) -> None:
    first, second = work.progress(), work.progress()
    first.claim()
    first.claim()
    with pytest.raises(Claimed):
        second.claim()
    assert (first.claimed, second.claimed) == (True, False)
    work.progress(replace(UPLOAD, etag="0x2")).claim()
    first.release()
    second.claim()


def test_the_first_line_names_the_upload_and_the_fingerprint(work: Work) -> None:
    progress = work.begun("the fingerprint")
    progress.add(answered(1))
    progress.release()
    assert work.content().startswith(header_line(UPLOAD.name, UPLOAD.etag, "the fingerprint"))
    assert "réunion".encode() in work.content().splitlines()[0]


def test_another_fingerprint_begins_again_and_keeps_the_attempts(work: Work) -> None:
    first = work.begun("old")
    first.add(answered(1))
    first.release()
    second = work.progress()
    second.claim()
    second.set_attempts(3)
    second.begin("new")
    assert second.find(*answered(1).key[:3]) is None
    assert (work.content(), work.attempts()) == (b"", "3")
    second.add(answered(2))
    second.release()
    assert work.lines() == 2


def test_answers_of_a_short_recording_are_written_once_it_is_claimed(work: Work) -> None:
    short = work.progress()
    for number in (1, 2):
        short.add(answered(number))
    short.claim()
    short.begin("f")
    short.release()
    assert work.begun().find(*answered(2).key[:3]) == answered(2)


def test_a_hundred_threads_add_their_answers(work: Work) -> None:
    progress = work.begun()
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda number: progress.add(answered(number // 2)), range(2000)))
    progress.release()
    assert work.lines() == 1 + 1000
    again = work.begun()
    assert all(again.find(*answered(number).key[:3]) for number in range(1000))


def test_torn_garbled_and_repeated_lines_cost_only_themselves(work: Work) -> None:
    first = work.begun()
    for number in (1, 2, 3):
        first.add(answered(number))
    first.release()
    torn = answered(4).line()[:-20]
    work.blob().append_block(b"\xff\n{}\n" + answered(1, b"forged").line() + torn)
    second = work.begun()
    assert second.find(*answered(1).key[:3]) == answered(1)
    assert second.find(*answered(4).key[:3]) is None
    second.add(answered(5))
    second.release()
    third = work.begun()
    assert [bool(third.find(*answered(number).key[:3])) for number in range(1, 6)] == [True, True, True, False, True]


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage", b'{"upload": "other.wav"}\n', bytes(3000)])
def test_a_blob_with_any_other_content_is_begun_again(work: Work, content: bytes) -> None:
    work.container.create_container()
    work.blob().create_append_blob()
    if content:
        work.blob().append_block(content)
    progress = work.begun()
    progress.add(answered(1))
    progress.release()
    assert work.content() == header_line(UPLOAD.name, UPLOAD.etag, "f") + answered(1).line()


def test_attempts_are_kept_for_the_next_worker_until_the_service_answers(work: Work) -> None:
    first = work.progress()
    first.claim()
    assert first.attempts == 0
    first.set_attempts(4)
    first.begin("f")
    first.release()
    second = work.progress()
    second.claim()
    assert second.attempts == 4
    second.begin("f")
    second.add(answered(1))
    second.release()
    third = work.progress()
    third.claim()
    assert third.attempts == 0


def test_a_claim_that_expired_is_confirmed_if_nobody_took_it(work: Work) -> None:
    progress = work.begun()
    work.expire()
    progress.add(answered(1))
    progress.confirm()
    assert progress.claimed
    assert work.lines() == 2
    with pytest.raises(Claimed):
        work.progress().claim()


def test_a_worker_whose_claim_was_taken_stops_and_writes_nothing(work: Work) -> None:
    first = work.begun()
    first.add(answered(1))
    first.confirm()
    work.expire()
    second = work.begun()
    before = work.content()
    first.add(answered(2))
    for _ in range(2):
        with pytest.raises(ClaimLost):
            first.confirm()
    with pytest.raises(ClaimLost):
        first.set_attempts(1)
    first.release()
    assert not first.claimed
    assert work.content() == before
    second.confirm()


def test_a_worker_whose_claim_was_taken_does_not_delete_the_progress(work: Work) -> None:
    first = work.begun()
    work.expire()
    second = work.begun()
    first.delete()
    second.confirm()


def test_the_worker_hears_of_a_lost_claim_once(work: Work) -> None:
    progress, lost = work.progress(renewal_seconds=0.02), list[bool]()
    progress.on_lost = lambda: lost.append(progress.claimed)
    progress.claim()
    progress.begin("f")
    work.container.delete_container()
    eventually(lambda: bool(lost))
    with pytest.raises(ClaimLost):
        progress.confirm()
    progress.release()
    assert lost == [False]


@pytest.mark.parametrize("end", ["release", "delete"])
def test_a_worker_that_is_finished_hears_of_no_loss(work: Work, end: str) -> None:
    progress, lost = work.progress(renewal_seconds=0.001), threading.Event()
    progress.on_lost = lost.set
    progress.claim()
    progress.begin("f")
    progress.release() if end == "release" else progress.delete()
    assert not lost.wait(0.1)


def test_a_blob_that_somebody_deleted_is_a_lost_claim(work: Work) -> None:
    progress = work.begun()
    work.expire()
    work.blob().delete_blob()
    with pytest.raises(ClaimLost):
        progress.confirm()
    progress.release()
    progress.delete()
    assert not work.blob().exists()


def test_a_blob_that_somebody_deletes_before_it_is_read_is_a_lost_claim(work: Work) -> None:
    first = work.begun()
    first.add(answered(1))
    first.release()
    second = work.progress()
    second.claim()
    work.expire()
    work.blob().delete_blob()
    with pytest.raises(ClaimLost):
        second.begin("f")


def test_the_progress_is_gone_after_it_was_deleted(work: Work) -> None:
    progress = work.begun()
    progress.add(answered(1))
    progress.delete()
    assert not work.blob().exists()
    assert work.begun().find(*answered(1).key[:3]) is None


def test_progress_that_cannot_be_deleted_is_no_error_and_the_claim_is_given_back(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    progress = work.begun()
    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "delete_blob", fail)
        progress.delete()
    assert "could not be deleted" in caplog.text
    work.progress().claim()


def fail(*_: object, **__: object) -> None:
    raise ServiceRequestError("down")


def test_storage_that_fails_to_append_never_stops_the_recognising_threads(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = work.begun()
    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "append_block", fail)
        for number in range(5):
            progress.add(answered(number))
        progress.confirm()
        assert progress.claimed
    progress.release()
    assert work.lines() == 6


def test_release_tries_again_and_gives_the_claim_back_in_any_case(
    work: Work, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = work.begun()
    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "append_block", fail)
        progress.add(answered(1))
        progress.release()
    assert clock.slept == list(WRITE_WAITS)
    assert not progress.claimed
    progress.claim()
    progress.begin("f")
    progress.release()
    assert work.lines() == 2, "it stayed pending"


def test_storage_that_cannot_renew_the_claim_is_an_error_of_storage(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = work.begun()
    monkeypatch.setattr(BlobLeaseClient, "acquire", fail)
    with pytest.raises(ServiceRequestError):
        progress.confirm()
    assert progress.claimed


def test_all_progress_is_listed_with_its_attempts_and_claims(work: Work) -> None:
    work.progress(replace(UPLOAD, etag="0x2")).claim()
    held = work.begun()
    held.set_attempts(2)
    idle = work.progress(replace(UPLOAD, etag="0x3"))
    idle.claim()
    idle.release()
    work.container.upload_blob("first-sweep", b"")
    listed = {each.name: each for each in work.store().listed()}
    names = [progress_name(UPLOAD.name, etag) for etag in ("0x1", "0x2", "0x3")]
    assert sorted(listed) == sorted(names)
    assert [(listed[name].attempts, listed[name].leased) for name in names] == [(2, True), (0, True), (0, False)]
    work.expire()
    assert not next(each for each in work.store().listed() if each.name == names[0]).leased


def test_without_a_container_no_progress_is_listed(work: Work) -> None:
    assert list(work.store().listed()) == []


def test_a_listing_reads_more_than_one_page(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.container.create_container()
    for number in range(5):
        work.container.get_blob_client(f"{PROGRESS_PREFIX}{number}").create_append_blob()
    monkeypatch.setattr(module, "PAGE", 2)
    assert len(list(work.store().listed())) == 5
