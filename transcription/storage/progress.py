"""The progress of recordings that take more than a few requests: their answers, in append blobs.

A worker that dies, is replaced or runs out of time has paid for its answers. So each of them is appended to a blob, and
whoever continues asks the blob first. A claim on the blob says who is at work (see `claims.py`).

The first line names the upload, and the fingerprint of its requests: answers to other requests are worth nothing. Each
further line is one answer. Nothing here is trusted: lines that cannot be read are ignored.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from transcription.errors import ClaimLost
from transcription.settings.app import StorageSettings
from transcription.storage.claims import LEASE_SECONDS, Claim
from transcription.storage.listing import listed
from transcription.storage.progress_lines import Key, decode_answer, decode_head, encode_answer, encode_head, key_of
from transcription.storage.uploads import UploadProperties
from transcription.transcript.model import Answered

MAX_ATTEMPTS = 5  # without any answer in between
ATTEMPT_WAITS = (15 * 60.0, 3600.0, 4 * 3600.0, 86_400.0)  # seconds after so many attempts; the last one repeats
PROGRESS_PREFIX = "progress/"
MAX_BLOB_BYTES = 64 << 20  # more is not read; two hours of answers with word times take a few MB
BATCH_BYTES = 2 << 20  # of one append; storage allows 4 MiB and more

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListedProgress:
    """The progress of one upload, as a listing shows it. `modified` is when the last attempt began or got an answer."""

    name: str
    attempts: int
    modified: datetime
    leased: bool


def wait_after_attempts(attempts: int) -> float:
    """Return the seconds until the next attempt, after so many without any answer."""
    return ATTEMPT_WAITS[min(attempts, len(ATTEMPT_WAITS) - 1)]


def progress_name(name: str, etag: str) -> str:
    """Return the blob's name for this content of an upload."""
    return PROGRESS_PREFIX + hashlib.sha256(json.dumps([name, etag]).encode()).hexdigest()


class ProgressStore:
    """The container of progress."""

    def __init__(
        self, service: BlobServiceClient, settings: StorageSettings, lease_seconds: int = LEASE_SECONDS
    ) -> None:
        self._container = service.get_container_client(settings.work_container)
        self._lease_seconds = lease_seconds

    def of(self, upload: UploadProperties) -> "Progress":
        """Return the upload's progress. Nothing is read or claimed yet."""
        return Progress(self._container, upload, self._lease_seconds)

    def listed(self) -> Iterator[ListedProgress]:
        """Yield the progress of all uploads. Without a container, there is none."""
        with suppress(ResourceNotFoundError):
            for blob in listed(self._container, PROGRESS_PREFIX):
                leased = blob.lease.state in ("leased", "breaking")
                yield ListedProgress(blob.name, _attempts(blob.metadata), blob.last_modified, leased)


class Progress:
    """The answers to one upload's requests. Thread-safe.

    Answers are kept in memory until the progress has begun. Then a thread writes them down, several at a time, and
    renews the claim. The SDK's errors pass through unless a method says otherwise: they mean that storage is down.
    """

    def __init__(self, container: ContainerClient, upload: UploadProperties, lease_seconds: int) -> None:
        self.attempts = 0
        self.claimed = False
        self.on_lost: Callable[[], None] | None = None
        self._container = container
        self._upload = upload
        self._blob = container.get_blob_client(progress_name(upload.name, upload.etag))
        self._lease_seconds = lease_seconds
        self._claim = Claim(self._blob, lease_seconds)
        self._is_empty = False
        self._fingerprint: str | None = None
        self._known: dict[Key, Answered] = {}
        self._pending: list[Answered] = []
        self._lock = threading.Lock()  # of the answers
        self._writing = threading.Lock()  # of the blob
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def claim(self) -> None:
        """Claim the upload, and read how many attempts there were.

        Raises Claimed if another worker has it.
        """
        self._is_empty = self._create()
        self._claim.acquire()
        if not self._is_empty:
            properties = self._blob.get_blob_properties()
            self.attempts = _attempts(properties.metadata)
            self._is_empty = properties.size == 0  # its creator died, or was slower
        self.claimed = True
        self._thread = threading.Thread(target=self._keep, name="progress", daemon=True)
        self._thread.start()

    def begin(self, fingerprint: str) -> None:
        """Read the answers of earlier workers, and write down those of this one from now on.

        Answers to requests with another fingerprint are deleted.
        """
        with self._writing:
            if self._fingerprint == fingerprint:
                return
            if self._is_empty or not self._read(fingerprint):
                self._start_over(fingerprint)
            self._fingerprint = fingerprint
            self._write_pending()

    def find(self, start: int, end: int, crc: int, channel: int = 0) -> Answered | None:
        """Return the answer to these samples, if it is known."""
        return self._known.get((channel, start, end, crc))

    def add(self, answered: Answered) -> None:
        """Keep an answer. It is written down by another thread, if the progress has begun."""
        with self._lock:
            self._known[key_of(answered)] = answered
            self._pending.append(answered)
        self._wake.set()

    def set_attempts(self, count: int) -> None:
        """Write down how many attempts there were since the last answer."""
        with self._writing:
            self._set_attempts(count)

    def confirm(self) -> None:
        """Write down all answers, and make sure that no other worker has the upload.

        Raises ClaimLost if one has, or if the progress is gone.
        """
        with self._writing:
            self._write_pending()
            self._claim.renew()

    def release(self) -> None:
        """Write down all answers as far as possible, and let others claim the upload. The progress stays."""
        if self._stop():
            with self._writing, suppress(AzureError, ClaimLost):
                self._write_pending()
                self._claim.release()

    def delete(self) -> None:
        """Delete the progress, if it is still this worker's."""
        if self._stop():
            with self._writing, suppress(AzureError):
                self._blob.delete_blob(**self._claim.condition)

    def _stop(self) -> bool:
        """Stop the thread. Return True if the claim has to be given up."""
        was_claimed, self.claimed, self._stopped = self.claimed, False, True
        self._wake.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
        return was_claimed

    def _keep(self) -> None:
        """Renew the claim and write answers down, until it is given up."""
        while not self._stopped:
            arrived = self._wake.wait(self._lease_seconds / 3)
            self._wake.clear()
            try:
                with self._writing:
                    if arrived:
                        self._write_pending()
                    else:
                        self._claim.renew()
            except ClaimLost:
                if not self._stopped and self.on_lost:
                    self.on_lost()
                return
            except AzureError as error:  # the claim holds for a while, and answers stay pending
                log.warning("%r: progress could not be written (%s)", self._upload.name, type(error).__name__)

    def _create(self) -> bool:
        """Create the blob and return True, or return False if there is one."""
        try:
            self._blob.create_append_blob(match_condition=MatchConditions.IfMissing)
        except ResourceNotFoundError:  # there is no container yet
            with suppress(ResourceExistsError):
                self._container.create_container()
            return self._create()
        except ResourceExistsError:
            return False
        return True

    def _read(self, fingerprint: str) -> bool:
        """Read the answers and return True, or return False if they are to other requests."""
        download = self._blob.download_blob(0, MAX_BLOB_BYTES, decompress=False)
        head, *lines = bytes(download.readall()).split(b"\n")
        if decode_head(head) != self._head(fingerprint):
            return False
        for line in lines:
            if answered := decode_answer(line):
                self._known.setdefault(key_of(answered), answered)
        return True

    def _start_over(self, fingerprint: str) -> None:
        metadata = {"attempts": str(self.attempts)}
        if not self._is_empty:
            self._locked(lambda: self._blob.create_append_blob(metadata=metadata, **self._claim.condition))
        self._is_empty = False
        self._append(encode_head(self._head(fingerprint)))

    def _head(self, fingerprint: str) -> dict[str, str]:
        return {"name": self._upload.name, "etag": self._upload.etag, "fingerprint": fingerprint}

    def _write_pending(self) -> None:
        """Append the answers that are not written yet. They stay pending if that fails."""
        while self._fingerprint is not None:
            with self._lock:
                batch = self._pending[:]
            content, count = b"", 0
            for answered in batch:
                if count and len(content) > BATCH_BYTES:
                    break
                content, count = content + encode_answer(answered), count + 1
            if not count:
                return
            self._append(content)
            with self._lock:
                del self._pending[:count]
            if self.attempts:
                self._set_attempts(0)

    def _append(self, content: bytes) -> None:
        self._locked(lambda: self._blob.append_block(content, **self._claim.condition))

    def _set_attempts(self, count: int) -> None:
        metadata = {"attempts": str(count)}
        self._locked(lambda: self._blob.set_blob_metadata(metadata, **self._claim.condition))
        self.attempts = count

    def _locked(self, write: Callable[[], object]) -> None:
        """Write under the claim. If it has ended, claim the blob again.

        Raises ClaimLost if another worker has it.
        """
        try:
            write()
        except HttpResponseError as error:
            self._claim.restore(error)
            write()


def _attempts(metadata: dict[str, str] | None) -> int:
    value = {key.casefold(): value for key, value in (metadata or {}).items()}.get("attempts", "")
    return min(int(value), MAX_ATTEMPTS) if value.isascii() and value.isdecimal() and len(value) < 9 else 0
