"""Finds uploads without a finished document, and queues them for another try.

Events get lost, the host gives up, settings are wrong for a day, workers die. Storage still shows which uploads lack a
document. A timer looks every quarter of an hour, so nobody has to run anything.

Uploads from long before the app's first sweep are left alone. An app that is given a container with years of recordings
must not transcribe them unasked; `infra/redrive.py` does that.
"""

import json
import logging
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from transcription.clock import Clock
from transcription.settings.app import StorageSettings
from transcription.storage.backlog import Backlog
from transcription.storage.listing import listed
from transcription.storage.progress import ProgressStore
from transcription.storage.queues import AgainMessage, AgainQueue

YOUNGEST = timedelta(minutes=10)  # of an upload; before that, its event is likely to be on its way or at work
BEFORE_FIRST_SWEEP = timedelta(hours=1)  # uploads from this long before the first sweep are still the app's
FIRST_SWEEP = "first-sweep"  # a blob in the work container; its metadata have the time
MOST_MESSAGES = 1_000  # of one sweep, and waiting on the queue

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepReport:
    """The result of one sweep.

    looked_at: the blobs in the container of uploads.
    missing: uploads without a finished document that nobody is at work on.
    queued: those of them that were put on the queue.
    repeated: those of them that were tried again before, without any answer from the service.
    oldest_seconds: the age of the oldest upload without a finished document; 0 if there is none.
    """

    looked_at: int
    missing: int
    queued: int
    repeated: int
    oldest_seconds: float

    def log_line(self) -> str:
        """Return one line of JSON. The queries in `infra/queries` read it."""
        line = {
            "event": "sweep",
            "lookedAt": self.looked_at,
            "missing": self.missing,
            "queued": self.queued,
            "repeated": self.repeated,
            "oldestSeconds": round(self.oldest_seconds),
        }
        return json.dumps(line)


def sweep(
    service: BlobServiceClient,
    settings: StorageSettings,
    progress: ProgressStore,
    queue: AgainQueue,
    clock: Clock,
    days: float,
) -> SweepReport:
    """Queue the uploads of the last `days` days that need another try, and log one line.

    The SDK's errors pass through: they mean that storage is down or refuses access. The next sweep starts over.
    """
    now = clock.now()
    begin = first_sweep(service.get_container_client(settings.work_container), now) - BEFORE_FIRST_SWEEP
    begin = max(begin, now - timedelta(days=days))
    with closing(Backlog()) as backlog:
        looked_at = backlog.add(listed(service.get_container_client(settings.audio_container)), begin, now - YOUNGEST)
        if backlog:
            strike_finished(backlog, service.get_container_client(settings.transcript_container))
        oldest = backlog.oldest or now
        if backlog:
            backlog.note_progress(progress.listed())
        queued = queue_due(backlog, queue, now)
        report = SweepReport(looked_at, len(backlog), queued, backlog.repeated, (now - oldest).total_seconds())
    log.info(report.log_line())
    return report


def first_sweep(container: ContainerClient, now: datetime) -> datetime:
    """Return the time of the app's first sweep. If this is the first, write it down."""
    blob = container.get_blob_client(FIRST_SWEEP)
    try:
        stored = blob.get_blob_properties()
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            container.create_container()
        with suppress(ResourceExistsError):  # another sweep was first, a moment ago
            blob.upload_blob(b"", overwrite=False, metadata={"time": now.isoformat()})
        return now
    try:
        first = datetime.fromisoformat(stored.metadata["time"])
    except (KeyError, ValueError):
        return stored.last_modified
    if first.year < 2000:  # nobody's first sweep
        return stored.last_modified
    return first if first.tzinfo else first.replace(tzinfo=UTC)


def strike_finished(backlog: Backlog, transcripts: ContainerClient) -> None:
    """Strike out the uploads with a finished document. Without a container, there is none."""
    with suppress(ResourceNotFoundError):
        backlog.strike_finished(listed(transcripts))


def queue_due(backlog: Backlog, queue: AgainQueue, now: datetime) -> int:
    """Put the oldest uploads that are due on the queue, unless many are waiting there. Return their number."""
    due = list(backlog.due(now, MOST_MESSAGES))
    if not due or queue.waiting() >= MOST_MESSAGES:
        return 0
    for upload in due:
        queue.send(AgainMessage(upload.name), 0.0)
    return len(due)
