"""Uploads without a finished document are queued for another try, and nothing else is."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from tests.support.app import App
from tests.support.sweeping import DatedClock, RecordingQueue, store_document
from transcription.recovery import sweep as sweeping
from transcription.recovery.sweep import FIRST_SWEEP, SweepReport, first_sweep, sweep
from transcription.settings.app import StorageSettings
from transcription.storage import listing
from transcription.storage.progress import ProgressStore, progress_name

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Sweeps:
    """An app whose sweeps can be run. Its first one was just before its first upload."""

    def __init__(self, app: App) -> None:
        self.app = app
        work = app.audio.container_name.replace("audio", "work")
        self.settings = StorageSettings.read({**app.environ, "WORK_CONTAINER": work})
        self.queue = RecordingQueue()
        self.clock = DatedClock(timedelta(0))
        self.work = app.service.get_container_client(self.settings.work_container)

    def run(self, later: timedelta = timedelta(minutes=11), **changes: Any) -> SweepReport:
        """Sweep as if so much time had passed since the uploads."""
        self.clock.ahead = later
        service = changes.get("service", self.app.service)
        progress = ProgressStore(service, self.settings, self.clock)
        return sweep(service, self.settings, progress, self.queue, self.clock, changes.get("days", 7))

    def store_progress(self, name: str, attempts: int) -> Any:
        """Store the progress of a worker that tried so many times. Return its blob."""
        etag = self.app.audio.get_blob_client(name).get_blob_properties().etag.strip('"')
        blob = self.work.get_blob_client(progress_name(name, etag))
        blob.create_append_blob(metadata={"attempts": str(attempts)})
        return blob


@pytest.fixture
def sweeps(app: App) -> Iterator[Sweeps]:
    sweeps = Sweeps(app)
    sweeps.run()
    yield sweeps
    if sweeps.work.exists():
        sweeps.work.delete_container()


def test_uploads_without_a_finished_document_are_queued(sweeps: Sweeps) -> None:
    app = sweeps.app
    for name in ("never", "done", "failed", "misconfigured", "given up", "replaced", "fr-FR/never", "a.wav", "a.wav-2"):
        app.upload(name, b"sound")
    app.upload("folder", b"", hdi_isfolder="true")
    store_document(app, "done", status="Succeeded", try_again="false")
    store_document(app, "a.wav-2", status="NoSpeech", try_again="false")
    store_document(app, "misconfigured", status="Failed", try_again="true")
    store_document(app, "replaced", status="Succeeded", source_etag="0x1", try_again="false")
    for name in ("failed", "given up"):
        store_document(app, name, status="Failed", try_again="false")
    report = sweeps.run(timedelta(minutes=16))
    assert set(sweeps.queue.taken()) == {"never", "misconfigured", "replaced", "fr-FR/never", "a.wav"}
    assert (report.looked_at, report.missing, report.queued, report.repeated) == (10, 5, 5, 0)


def test_a_sweep_asks_for_no_fresh_count_of_tries(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.run()
    assert [message.reset for message in sweeps.queue.messages] == [False]


def test_uploads_of_the_last_ten_minutes_are_left_to_their_events(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    assert sweeps.run(timedelta(minutes=9)).missing == 0
    assert sweeps.run(timedelta(minutes=11)).missing == 1


def test_uploads_are_tried_for_so_many_days(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    assert sweeps.run(7 * DAY - HOUR).missing == 1
    assert sweeps.run(7 * DAY + HOUR).missing == 0
    assert sweeps.run(7 * DAY + HOUR, days=8).missing == 1


def test_uploads_that_somebody_is_at_work_on_are_left_alone(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.app.upload("b", b"sound")
    lease = sweeps.store_progress("a", 1).acquire_lease(60)
    report = sweeps.run(5 * DAY)
    assert sweeps.queue.taken() == ["b"]
    assert (report.missing, report.repeated) == (1, 0)
    lease.release()
    assert sweeps.run(5 * DAY).repeated == 1
    assert sorted(sweeps.queue.taken()) == ["a", "b"]


def test_a_failure_that_may_be_tried_again_waits_a_quarter_of_an_hour(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    store_document(sweeps.app, "a", status="Failed", try_again="true")
    assert (sweeps.run(timedelta(minutes=14)).missing, sweeps.queue.taken()) == (1, [])
    assert sweeps.run(timedelta(minutes=16)).queued == 1


@pytest.mark.parametrize(("attempts", "hours"), [(0, 0.25), (1, 1), (2, 4), (3, 24), (4, 24), (5, 24)])
def test_the_wait_between_tries_grows(sweeps: Sweeps, attempts: int, hours: float) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.store_progress("a", attempts)
    early = sweeps.run(timedelta(hours=hours) - timedelta(minutes=1))
    assert (early.missing, early.queued, early.repeated) == (1, 0, int(attempts > 0))
    assert sweeps.run(timedelta(hours=hours)).queued == 1


def test_the_oldest_uploads_are_queued_first_and_a_thousand_at_most(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweeping.MOST_MESSAGES == 1000
    monkeypatch.setattr(sweeping, "MOST_MESSAGES", 3)
    sweeps.app.upload("z", b"sound")
    for number in range(4):
        sweeps.app.upload(f"{number}", b"sound")
    assert sweeps.run().queued == 3
    names = sweeps.queue.taken()
    assert len(names) == 3
    order = {blob.name: blob.last_modified for blob in sweeps.app.audio.list_blobs()}
    assert max(order[name] for name in names) <= min(order[name] for name in order.keys() - set(names))


def test_nothing_is_queued_while_a_thousand_messages_wait(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.queue.others = 1000
    report = sweeps.run()
    assert (report.missing, report.queued, sweeps.queue.messages) == (1, 0, [])
    sweeps.queue.others = 999
    assert sweeps.run().queued == 1


def test_uploads_from_long_before_the_first_sweep_are_never_queued(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.work.delete_blob(FIRST_SWEEP)
    assert sweeps.run(HOUR + timedelta(minutes=1)).missing == 0
    assert sweeps.run(timedelta(minutes=30)).missing == 0


def test_uploads_of_the_hour_before_the_first_sweep_are_queued(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.work.delete_blob(FIRST_SWEEP)
    assert sweeps.run(timedelta(minutes=55)).missing == 1
    assert sweeps.run(6 * DAY).missing == 1


def test_the_first_sweep_makes_the_work_container(app: App) -> None:
    sweeps = Sweeps(app)
    with pytest.raises(ResourceNotFoundError):
        sweeps.work.get_container_properties()
    sweeps.run()
    assert [blob.name for blob in sweeps.work.list_blobs()] == [FIRST_SWEEP]
    sweeps.work.delete_container()


def test_the_time_of_the_first_sweep_is_written_once(sweeps: Sweeps) -> None:
    marker = sweeps.work.get_blob_client(FIRST_SWEEP)
    before = marker.get_blob_properties()
    assert first_sweep(sweeps.work, datetime.now(UTC) + DAY) == datetime.fromisoformat(before.metadata["time"])
    assert marker.get_blob_properties().etag == before.etag


@pytest.mark.parametrize("metadata", [{}, {"time": "soon"}])
def test_if_the_time_of_the_first_sweep_cannot_be_read_the_blobs_own_time_counts(
    sweeps: Sweeps, metadata: dict[str, str]
) -> None:
    sweeps.work.upload_blob(FIRST_SWEEP, b"", overwrite=True, metadata=metadata)
    written = sweeps.work.get_blob_client(FIRST_SWEEP).get_blob_properties().last_modified
    assert first_sweep(sweeps.work, written + DAY) == written


def test_a_time_without_a_zone_is_in_utc(sweeps: Sweeps) -> None:
    sweeps.work.upload_blob(FIRST_SWEEP, b"", overwrite=True, metadata={"time": "2026-11-23T10:00"})
    assert first_sweep(sweeps.work, datetime.now(UTC)) == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_without_a_transcript_container_every_upload_is_missing(sweeps: Sweeps) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.app.transcripts.delete_container()
    assert sweeps.run().missing == 1
    sweeps.app.transcripts = sweeps.app.service.create_container("transcripts-again")


def test_a_sweep_leaves_one_line_in_the_log(sweeps: Sweeps, caplog: pytest.LogCaptureFixture) -> None:
    sweeps.app.upload("a", b"sound")
    sweeps.app.upload("b", b"sound")
    sweeps.store_progress("b", 1)
    with caplog.at_level(logging.INFO, "transcription"):
        sweeps.run(2 * HOUR)
    (line,) = [json.loads(record.getMessage()) for record in caplog.records]
    age = line.pop("oldestSeconds")
    assert 7200 <= age < 7230
    assert line == {"event": "sweep", "lookedAt": 2, "missing": 2, "queued": 2, "repeated": 1}


def test_nothing_missing_is_age_zero(sweeps: Sweeps) -> None:
    assert sweeps.run().oldest_seconds == 0


@pytest.fixture
def counting(app: App) -> Iterator[tuple[BlobServiceClient, Callable[[], int]]]:
    """Yield a client, and a function that returns the number of its requests since the last call."""
    requests: list[str] = []

    def taken() -> int:
        number = len(requests)
        requests.clear()
        return number

    service = BlobServiceClient.from_connection_string(
        app.environ["AudioStorage"], raw_request_hook=lambda request: requests.append(request.http_request.url)
    )
    with service:
        yield service, taken


def test_a_sweep_makes_one_request_for_each_page_and_one_more(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, counting: tuple[BlobServiceClient, Callable[[], int]]
) -> None:
    service, requests = counting
    monkeypatch.setattr(listing, "PAGE_BLOBS", 10)
    for number in range(40):
        sweeps.app.upload(f"{number}", b"sound")
        if number:
            store_document(sweeps.app, f"{number}", status="Succeeded", try_again="false")
    assert sweeps.run(service=service).missing == 1
    assert requests() == 1 + 4 + 4 + 1  # the first sweep, uploads, documents, progress


def test_the_other_listings_are_skipped_if_nothing_is_left(
    sweeps: Sweeps, counting: tuple[BlobServiceClient, Callable[[], int]]
) -> None:
    service, requests = counting
    sweeps.app.upload("a", b"sound")
    sweeps.run(timedelta(minutes=1), service=service)
    assert requests() == 1 + 1  # the first sweep, uploads
    store_document(sweeps.app, "a", status="Succeeded", try_again="false")
    sweeps.run(service=service)
    assert requests() == 1 + 1 + 1  # and documents
