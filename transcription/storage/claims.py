"""A claim on an upload: a lease on its progress blob that a thread renews.

A lease ends by itself after a minute, so the claim of a worker that died is soon free. A worker that was only stopped
for longer finds its lease expired. It takes the lease again with the same id, unless another worker was quicker.
https://learn.microsoft.com/rest/api/storageservices/lease-blob lists the outcomes.
"""

import logging
import threading
import uuid
from collections.abc import Callable
from typing import TypeVar

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient

from transcription.errors import Claimed, ClaimLost
from transcription.storage.account import reason
from transcription.storage.refusals import code_of

T = TypeVar("T")

LEASE_SECONDS = 60
RENEWAL_SECONDS = 20.0  # real seconds, whatever the app's clock says, because storage counts them

log = logging.getLogger(__name__)


class Claim:
    """A lease on one blob. `lost` becomes true once another worker has it or the blob is gone, and stays so."""

    def __init__(self, blob: BlobClient, name: str, seconds: int = LEASE_SECONDS) -> None:
        """Prepare a lease of this many seconds. `name` is the upload's, for the log."""
        self.id = str(uuid.uuid4())
        self.lost = False
        self._lease = BlobLeaseClient(blob, self.id)
        self._name = name
        self._seconds = seconds
        self._ended = threading.Event()
        self._renewing = threading.Lock()

    def take(self) -> None:
        """Take the lease. Raises Claimed if another worker has it."""
        try:
            self._lease.acquire(self._seconds)
        except HttpResponseError as error:
            if _is_about_leases(error):
                raise Claimed(f"Another worker is at work on {self._name!r}") from None
            raise

    def keep(self) -> None:
        """Renew the lease, or take it again if it has expired.

        Raises ClaimLost if another worker has it, or if the blob is gone. Other errors of the SDK leave the claim open.
        """
        if self.lost:
            raise self.lose()
        try:
            self._lease.acquire(self._seconds)  # with the same id; a renewal would fail after an expiry
        except ResourceNotFoundError:
            raise self.lose() from None
        except HttpResponseError as error:
            if _is_about_leases(error):
                raise self.lose() from None
            raise

    def under(self, request: Callable[[], T]) -> T:
        """Return the result of `request`, which must name the lease's id if it writes.

        If the lease has expired, it is taken again first. Raises ClaimLost as `keep` does.
        """
        if self.lost:
            raise self.lose()
        try:
            return request()
        except HttpResponseError as error:
            if not (isinstance(error, ResourceNotFoundError) or _is_about_leases(error)):
                raise
        self.keep()
        return request()

    def lose(self) -> ClaimLost:
        """Give the claim up for good, and return the error to raise."""
        self.lost = True
        self._ended.set()
        return ClaimLost(f"Another worker has taken over {self._name!r}, or has finished it")

    def start_renewing(self, on_lost: Callable[[], None], seconds: float = RENEWAL_SECONDS) -> None:
        """Start a thread that renews the lease every so many seconds.

        If the claim is lost, the thread calls `on_lost` once and ends.
        """
        threading.Thread(target=self._renew, args=(on_lost, seconds), name="renew a claim", daemon=True).start()

    def stop_renewing(self) -> None:
        """Stop for good. Waits for a renewal under way, which would take a returned lease again."""
        self._ended.set()
        with self._renewing:
            pass

    def give_back(self) -> None:
        """End the lease, unless it is lost. If that fails, storage ends it soon."""
        self.stop_renewing()
        if self.lost:
            return
        try:
            self._lease.release()
        except AzureError as error:
            log.info("%r: its lease was not given back (%s)", self._name, reason(error))

    def _renew(self, on_lost: Callable[[], None], seconds: float) -> None:
        while not self._ended.wait(seconds):
            try:
                with self._renewing:
                    if not self._ended.is_set():
                        self.keep()
            except ClaimLost:
                break
            except AzureError as error:
                log.warning("%r: its lease could not be renewed (%s), trying again", self._name, reason(error))
        if self.lost:
            on_lost()


def _is_about_leases(error: HttpResponseError) -> bool:
    return code_of(error).startswith("Lease")
