"""The progress of uploads: the answers that are paid for, so that another worker can go on.

Each long recording has a blob in the work container. Its name is a hash of the upload's name and ETag. The first line
names the upload and a fingerprint of everything that decides the answers. Then comes one line per answered request. A
claim on the blob says who is at work.

Nothing in a blob is trusted. Lines that are torn, garbled or repeated are ignored.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from transcription.clock import Clock
from transcription.errors import ClaimLost
from transcription.settings.app import StorageSettings
from transcription.storage.account import reason, retry_writing
from transcription.storage.answered import Answers, header_line
from transcription.storage.claims import LEASE_SECONDS, RENEWAL_SECONDS, Claim
from transcription.storage.journal import Journal, stored_attempts
from transcription.storage.uploads import UploadProperties
from transcription.storage.writer import Writer
from transcription.transcript.answered import Answered

MAX_ATTEMPTS = 5  # without any answer in between
ATTEMPT_WAITS = (15 * 60.0, 3600.0, 4 * 3600.0, 86_400.0)  # seconds after so many attempts; the last one repeats
PROGRESS_PREFIX = "progress/"
PAGE = 5000  # blobs in one answer of storage, which is its limit

log = logging.getLogger(__name__)


def wait_after_attempts(attempts: int) -> float:
    """Return the seconds until the next attempt, after so many without any answer."""
    return ATTEMPT_WAITS[min(attempts, len(ATTEMPT_WAITS) - 1)]


def progress_name(name: str, etag: str) -> str:
    """Return the name of the blob for this content of an upload. `etag` has no quotes."""
    return PROGRESS_PREFIX + hashlib.sha256(f"{name}\0{etag}".encode()).hexdigest()  # no blob's name has a NUL


@dataclass(frozen=True)
class ListedProgress:
    """One progress blob. While it is `leased`, somebody is at work on the upload."""

    name: str
    attempts: int
    modified: datetime
    leased: bool


class ProgressStore:
    """The container of progress. One for the process."""

    def __init__(
        self,
        service: BlobServiceClient,
        settings: StorageSettings,
        clock: Clock,
        lease_seconds: int = LEASE_SECONDS,
        renewal_seconds: float = RENEWAL_SECONDS,
    ) -> None:
        self._container = service.get_container_client(settings.work_container)
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._renewal_seconds = renewal_seconds

    def of(self, upload: UploadProperties) -> "Progress":
        """Return the progress of this content. Makes no request."""
        return Progress(self._container, upload, self._clock, self._lease_seconds, self._renewal_seconds)

    def listed(self) -> Iterator[ListedProgress]:
        """Yield all progress, or nothing if the container does not exist."""
        with suppress(ResourceNotFoundError):
            for blob in self._container.list_blobs(PROGRESS_PREFIX, include=["metadata"], results_per_page=PAGE):
                leased = blob.lease.status == "locked"
                yield ListedProgress(blob.name, stored_attempts(blob), blob.last_modified, leased)


class Progress:
    """One upload's answered requests, and the claim to work on it.

    Any number of threads may call `find` and `add`. One thread calls the other methods.
    `on_lost` is called once, from a thread of its own, if another worker takes the upload over.

    The SDK's errors pass through unless a method says otherwise: they mean that storage is down.
    """

    def __init__(
        self, container: ContainerClient, upload: UploadProperties, clock: Clock, lease_seconds: int, renewal: float
    ) -> None:
        self.on_lost: Callable[[], None] | None = None
        self._container = container
        self._upload = upload
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._renewal_seconds = renewal
        self._claim: Claim | None = None
        self._journal: Journal | None = None
        self._writer: Writer | None = None
        self._answers = Answers(upload.name)

    @property
    def claimed(self) -> bool:
        """Tell whether this worker has the claim, as far as it knows."""
        return self._claim is not None and not self._claim.lost

    @property
    def attempts(self) -> int:
        """Return the number of attempts, as it was last read or written."""
        return self._journal.attempts if self._journal else 0

    def claim(self) -> None:
        """Claim the upload, and renew the claim until `release` or `delete`.

        Raises Claimed if another worker is at work on it.
        """
        if self.claimed:
            return
        name = self._upload.name
        blob = self._container.get_blob_client(progress_name(name, self._upload.etag))
        claim = Claim(blob, name, self._lease_seconds)
        journal = Journal(self._container, blob, claim)
        journal.open()
        self._claim, self._journal = claim, journal
        self._writer = Writer(journal, claim, self._answers, name)
        claim.start_renewing(self._tell_lost, self._renewal_seconds)

    def begin(self, fingerprint: str) -> None:
        """Read the answers of earlier workers, and write those that were added before. From now on, `add` writes.

        Answers with another fingerprint are removed. Raises ClaimLost if another worker has the claim.
        """
        self._held().begin(header_line(self._upload.name, self._upload.etag, fingerprint))

    def find(self, start: int, end: int, crc: int, channel: int = 0) -> Answered | None:
        """Return the answer to this request, if there is one."""
        return self._answers.find((start, end, crc, channel))

    def add(self, answered: Answered) -> None:
        """Remember the answer. If the progress is begun, a thread writes it soon. Makes no request itself."""
        self._answers.add(answered)

    def set_attempts(self, count: int) -> None:
        """Store the number of attempts. The next new answer resets it to 0. Raises ClaimLost as `confirm` does."""
        self._held().set_attempts(count)

    def confirm(self) -> None:
        """Make sure that the claim holds for another minute. Does nothing without a claim.

        Writes what is pending too. If only that fails, it stays pending. Raises ClaimLost if another worker has the
        claim, or if the blob is gone.
        """
        if self._claim is None:
            return
        try:
            self._held().flush()
        except AzureError as error:
            log.warning("%r: its progress could not be written (%s)", self._upload.name, reason(error))
        self._claim.keep()

    def release(self) -> None:
        """Write what is pending, and give the claim back. The blob stays. Never raises.

        Tries several times to write. If storage goes on failing, the answers that are pending are lost.
        """
        if (claim := self._claim) is None:
            return
        try:
            retry_writing(self._held().flush, self._clock, self._upload.name)
        except ClaimLost as error:
            log.info("%s", error)
        except AzureError as error:
            log.error("%r: answers could not be kept (%s)", self._upload.name, reason(error))
        finally:
            self._end()
            claim.give_back()

    def delete(self) -> None:
        """Delete the blob and the claim with it. Never raises: what remains does no harm, and ends by itself."""
        claim, journal = self._claim, self._journal
        if claim is None or journal is None:
            return
        claim.stop_renewing()
        self._end()
        try:
            journal.delete()
        except ClaimLost as error:
            log.info("%s", error)
        except AzureError as error:
            log.warning("%r: its progress could not be deleted (%s)", self._upload.name, reason(error))
            claim.give_back()

    def _held(self) -> Writer:
        if self._writer is None:
            raise ClaimLost(f"{self._upload.name!r} is not claimed")
        return self._writer

    def _end(self) -> None:
        """Write nothing from now on."""
        if self._writer:
            self._writer.end()
        self._claim = self._writer = None

    def _tell_lost(self) -> None:
        self._answers.wake()
        if self.on_lost:
            self.on_lost()
