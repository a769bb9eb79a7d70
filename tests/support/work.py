"""A work container under test: progress in it, and the ways in which others interfere."""

import time
from collections.abc import Callable

from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from tests.support.clock import FakeClock
from transcription.settings.app import StorageSettings
from transcription.storage.progress import Progress, ProgressStore, progress_name
from transcription.storage.uploads import UploadProperties
from transcription.transcript.answered import Answered

UPLOAD = UploadProperties("fr-FR/réunion 会議.m4a", "0x1", 9, {})
RENEWAL_SECONDS = 3600.0  # no renewal comes by itself
SHORTEST_LEASE = 15  # seconds; storage allows none below
WAIT_SECONDS = 20.0


def answered(number: int, body: bytes = b'{"DisplayText": "Hello."}', channel: int = 0) -> Answered:
    """Return an answer to the request with this number."""
    return Answered(number * 16_000, (number + 1) * 16_000, number, ("0" * 32,), body, channel)


class Work:
    """A work container that does not exist yet."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings, clock: FakeClock) -> None:
        self._service = service
        self._settings = settings
        self._clock = clock
        self.container = service.get_container_client(settings.work_container)

    def store(self, renewal_seconds: float = RENEWAL_SECONDS) -> ProgressStore:
        return ProgressStore(self._service, self._settings, self._clock, SHORTEST_LEASE, renewal_seconds)

    def progress(self, upload: UploadProperties = UPLOAD, renewal_seconds: float = RENEWAL_SECONDS) -> Progress:
        """Return the progress of a new worker."""
        return self.store(renewal_seconds).of(upload)

    def begun(self, fingerprint: str = "f") -> Progress:
        progress = self.progress()
        progress.claim()
        progress.begin(fingerprint)
        return progress

    def blob(self, upload: UploadProperties = UPLOAD) -> BlobClient:
        return self.container.get_blob_client(progress_name(upload.name, upload.etag))

    def content(self) -> bytes:
        return self.blob().download_blob().readall()

    def lines(self) -> int:
        """Return the number of lines in the blob, with the first."""
        return self.content().count(b"\n")

    def expire(self) -> None:
        """End the lease, as its time would."""
        BlobLeaseClient(self.blob()).break_lease(0)

    def attempts(self) -> str | None:
        return self.blob().get_blob_properties().metadata.get("attempts")


def eventually(happened: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
