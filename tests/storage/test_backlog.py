"""The backlog keeps the uploads that other listings do not strike out."""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import BlobProperties

from tests.support.blob_names import LISTED
from transcription.storage.backlog import Backlog
from transcription.storage.names import output_name
from transcription.storage.progress import ATTEMPT_WAITS, ListedProgress, progress_name

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def blob(name: str, etag: str = "1", modified: datetime | None = NOW, **metadata: str) -> BlobProperties:
    """Return a blob as a listing has it."""
    return BlobProperties(name=name, metadata=metadata, **{"ETag": f'"{etag}"', "Last-Modified": modified})


def document(name: str, etag: str = "1", status: str = "Succeeded", **metadata: str) -> BlobProperties:
    return blob(output_name(name), "9", NOW, status=status, source_etag=etag, **metadata)


def progress(name: str, attempts: int = 0, *, modified: datetime = NOW, leased: bool = False) -> ListedProgress:
    return ListedProgress(progress_name(name, "1"), attempts, modified, leased)


def names(backlog: Backlog, now: datetime = LATER, limit: int = -1) -> list[str]:
    return [upload.name for upload in backlog.due(now, limit)]


@pytest.fixture
def backlog() -> Iterator[Backlog]:
    with closing(Backlog()) as backlog:
        yield backlog


def test_it_keeps_the_uploads_of_a_stretch_of_time(backlog: Backlog) -> None:
    hour = timedelta(hours=1)
    times = {"early": NOW - hour, "first": NOW, "last": NOW + hour - timedelta(seconds=1), "late": NOW + hour}
    assert backlog.add([blob(name, modified=time) for name, time in times.items()], NOW, NOW + hour) == 4
    assert names(backlog) == ["first", "last"]
    assert len(backlog) == 2


def test_without_a_beginning_it_keeps_all_older_uploads(backlog: Backlog) -> None:
    backlog.add([blob("a", modified=datetime(1999, 1, 1, tzinfo=UTC)), blob("b", modified=LATER)], None, LATER)
    assert names(backlog) == ["a"]


def test_folder_markers_and_unreachable_names_are_left_out(backlog: Backlog) -> None:
    unreachable: list[str] = []
    backlog.add([blob("folder", hdi_isfolder="true"), blob("../a"), blob("b")], None, LATER, unreachable.append)
    assert names(backlog) == ["b"]
    assert unreachable == ["../a"]


def test_a_finished_document_strikes_out_the_upload_with_any_name(backlog: Backlog) -> None:
    for name in LISTED:
        backlog.add([blob(name), blob("other")], None, LATER)
        backlog.strike_finished([document(name)])
        assert names(backlog) == ["other"]


def test_names_that_do_not_sort_alike_are_struck_out(backlog: Backlog) -> None:
    uploads = ["a.wav", "a.wav-2", "a.wav-3"]
    backlog.add([blob(name) for name in uploads], None, LATER)
    backlog.strike_finished(sorted([document("a.wav"), document("a.wav-2")], key=lambda each: str(each.name)))
    assert names(backlog) == ["a.wav-3"]


@pytest.mark.parametrize(
    "other",
    [
        document("a", etag="2"),
        document("b"),
        document("a", status="Failed", try_again="true"),
        blob("a.json", status="Succeeded"),
        blob("a", status="Succeeded", source_etag="1"),
    ],
    ids=["other content", "another upload", "unfinished", "no source", "no document"],
)
def test_no_other_document_strikes_out_an_upload(backlog: Backlog, other: BlobProperties) -> None:
    backlog.add([blob("a")], None, LATER)
    backlog.strike_finished([other])
    assert names(backlog) == ["a"]


def test_a_failure_strikes_out_its_upload_unless_failures_are_to_be_kept(backlog: Backlog) -> None:
    failed = [document("a", status="Failed", try_again="false"), document("b")]
    backlog.add([blob("a"), blob("b")], None, LATER)
    backlog.strike_finished(failed, keep_failed=True)
    assert names(backlog) == ["a"]
    backlog.strike_finished(failed)
    assert names(backlog) == []


def test_uploads_that_a_worker_has_claimed_are_struck_out(backlog: Backlog) -> None:
    backlog.add([blob("a"), blob("b"), blob("c")], None, LATER)
    backlog.note_progress([progress("a", leased=True), progress("other", leased=True), progress("c")])
    assert names(backlog) == ["b", "c"]


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [(0, 900), (1, 3600), (2, 4 * 3600), (3, 86_400), (4, 86_400), (10**9, 86_400), (-5, 900)],
)
def test_an_upload_waits_longer_after_each_try(backlog: Backlog, attempts: int, wait: float) -> None:
    backlog.add([blob("a")], None, LATER)
    backlog.note_progress([progress("a", attempts)])
    assert names(backlog, NOW + timedelta(seconds=wait - 1)) == []
    assert names(backlog, NOW + timedelta(seconds=wait)) == ["a"]
    assert len(backlog) == 1
    assert backlog.repeated == (attempts > 0)


def test_a_failure_that_may_be_tried_again_waits_like_a_first_try(backlog: Backlog) -> None:
    backlog.add([blob("a")], None, LATER)
    backlog.strike_finished([document("a", status="Failed", try_again="true")])
    assert names(backlog, NOW + timedelta(seconds=899)) == []
    assert names(backlog, NOW + timedelta(seconds=900)) == ["a"]
    backlog.note_progress([progress("a", 1)])
    assert names(backlog, NOW + timedelta(seconds=900)) == []


def test_without_a_time_waits_do_not_count(backlog: Backlog) -> None:
    backlog.add([blob("a")], None, LATER)
    backlog.note_progress([progress("a", 5, modified=LATER)])
    assert [upload.name for upload in backlog.due()] == ["a"]


def test_progress_of_earlier_content_makes_no_upload_wait(backlog: Backlog) -> None:
    backlog.add([blob("a", etag="2")], None, LATER)
    backlog.note_progress([progress("a", 3, leased=True)])
    assert names(backlog, NOW) == ["a"]


def test_the_oldest_uploads_come_first(backlog: Backlog) -> None:
    assert backlog.oldest is None
    ages = {"b": 3, "c": 1, "a": 2}
    backlog.add([blob(name, modified=NOW - timedelta(hours=age)) for name, age in ages.items()], None, LATER)
    assert names(backlog) == ["b", "a", "c"]
    assert names(backlog, limit=2) == ["b", "a"]
    assert backlog.oldest == NOW - timedelta(hours=3)


def test_rows_that_make_no_sense_are_left_out_and_reported_once(
    backlog: Backlog, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [blob("a", modified=None), BlobProperties(name="b"), blob("\ud800")]
    with caplog.at_level(logging.WARNING):
        assert backlog.add([*bad, blob("good")], NOW, LATER) == 4
    assert names(backlog) == ["good"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("Skipped 2 of 4 listed blobs")
    backlog.strike_finished([BlobProperties(name=None, metadata={"source_etag": "1"}), document("good")])
    backlog.add([blob("good")], NOW, LATER)
    backlog.note_progress([progress("good", 10**30), progress("good", 1)])
    assert backlog.repeated == 1


def test_the_waits_end_with_a_day() -> None:
    assert ATTEMPT_WAITS[-1] == 86_400
