"""A claim on a blob: a lease that is renewed for as long as its worker lives.

If the worker dies, the lease ends within a minute, and another worker may claim the blob. A worker that was stopped for
longer, and wakes up, finds out before it writes anything.
"""

import uuid
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient

from transcription.errors import Claimed, ClaimLost
from transcription.storage.refusals import code_of

LEASE_SECONDS = 60  # storage allows 15 to 60; a shorter one ends while a busy process renews it

_TAKEN = ("LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired", "LeaseIsBrokenAndCannotBeRenewed")
_ENDED = (
    "LeaseIdMissing",
    "LeaseIdMismatchWithBlobOperation",
    "LeaseIdMismatchWithLeaseOperation",
    "LeaseLost",
    "LeaseNotPresentWithBlobOperation",
    "LeaseNotPresentWithLeaseOperation",
    "LeaseIsBrokenAndCannotBeRenewed",
    "LeaseIsBreakingAndCannotBeAcquired",
)


class Claim:
    """A lease on one blob. Not thread-safe.

    The SDK's errors pass through unless a method says otherwise: they mean that storage is down.
    """

    def __init__(self, blob: BlobClient, seconds: int) -> None:
        """Ask for nothing yet."""
        self._blob = blob
        self._seconds = seconds
        self._lease = BlobLeaseClient(blob, lease_id=str(uuid.uuid4()))

    @property
    def condition(self) -> dict[str, Any]:
        """Return the argument that makes a write fail unless the claim still holds."""
        return {"lease": self._lease}

    def acquire(self) -> None:
        """Claim the blob, also if this very claim has ended and nobody else has claimed it since.

        Raises Claimed if another worker has it.
        """
        try:
            self._lease.acquire(self._seconds)
        except HttpResponseError as error:
            if code_of(error) in _TAKEN:
                raise Claimed("another worker is at work on the upload") from None
            raise

    def renew(self) -> None:
        """Renew the claim. If it has ended, claim the blob again.

        Raises ClaimLost if another worker has claimed it, or if it is gone.
        """
        try:
            self._lease.renew()
        except HttpResponseError as error:
            self.restore(error)

    def restore(self, error: HttpResponseError) -> None:
        """Claim the blob again after an operation failed because the claim has ended.

        Raises ClaimLost if another worker has claimed it, or if it is gone. Raises the error if it says something else.
        """
        if isinstance(error, ResourceNotFoundError):
            raise ClaimLost("another worker has finished the upload") from None
        if code_of(error) not in _ENDED:
            raise error
        try:
            self.acquire()
        except Claimed:
            raise ClaimLost("another worker has taken the upload over") from None
        except ResourceNotFoundError:
            raise ClaimLost("another worker has finished the upload") from None

    def release(self) -> None:
        """Let others claim the blob."""
        self._lease.release()
