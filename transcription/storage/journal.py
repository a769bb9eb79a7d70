"""An append blob of lines that one worker writes under its claim.

Every write is conditional on the state that this worker knows. So it notices if another worker wrote while the lease
had expired. It also notices if its own write was carried out but the answer was lost, because the SDK then sends the
write twice. In both cases `look` and `load` tell what is there.
"""

import re
from contextlib import suppress
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobClient, BlobProperties, ContainerClient

from transcription.storage.account import only_if_unchanged, read_stored
from transcription.storage.claims import Claim
from transcription.storage.refusals import code_of

MAX_APPEND = (4 << 20) - 1  # bytes of lines; every version of storage accepts 4 MiB, and a line break may come first
MAX_BLOCKS = 50_000  # of one append blob
MAX_BYTES = 64 << 20  # bytes of one blob; two hours of speech take a few MB
TRIES = 3  # of a step that another worker interrupts

# The blob exists. Storage may look at its lease first.
_EXISTS = ("BlobAlreadyExists", "LeaseIdMissing")
_COUNT = re.compile(r"[0-9]{1,6}")


class Journal:
    """The lines, and the number of attempts in the blob's metadata. Not thread-safe.

    The SDK's errors pass through. Writes raise ClaimLost if another worker has the claim or the blob is gone, and
    ResourceModifiedError if the blob is not as this worker knows it.
    """

    def __init__(self, container: ContainerClient, blob: BlobClient, claim: Claim) -> None:
        self.attempts = 0
        self.size = 0  # bytes
        self._blocks = 0
        self._etag = ""
        self._needs_line_break = False
        self._container = container
        self._blob = blob
        self._claim = claim

    @property
    def full(self) -> bool:
        return self.size >= MAX_BYTES - MAX_APPEND or self._blocks >= MAX_BLOCKS

    def open(self) -> None:
        """Take the claim. Creates the container and the blob if they do not exist.

        Raises Claimed if another worker has the claim.
        """
        for left in reversed(range(TRIES)):
            try:
                etag = self._create()
                self._claim.take()
                break
            except ResourceNotFoundError:  # there is no container, or the blob was deleted in between
                if not left:
                    raise
                with suppress(ResourceExistsError):
                    self._container.create_container()
        if etag:
            self._know(etag, size=0, blocks=0)
            return
        try:
            self.look()
        except AzureError:
            self._claim.give_back()
            raise

    def look(self) -> None:
        """Find out the current state."""
        properties = self._blob.get_blob_properties()
        self.attempts = stored_attempts(properties)
        self._know(properties.etag, properties.size, int(properties.append_blob_committed_block_count or 0))

    def load(self) -> bytes:
        """Return the whole content, or nothing if it is too long to be one of ours."""
        for _ in range(TRIES):
            if not 0 < self.size < MAX_BYTES:
                return b""
            try:
                content = read_stored(self._blob, self._etag, 0, self.size)
            except ResourceModifiedError:
                self.look()
            else:
                self._needs_line_break = not content.endswith(b"\n")
                return content
        raise ResourceModifiedError("The progress changed with every try to read it")

    def clear(self) -> None:
        """Remove all lines. The number of attempts stays."""
        options = {"metadata": _metadata(self.attempts), **self._conditions()}
        written = self._claim.under(lambda: self._blob.create_append_blob(**options))
        self._know(str(written["etag"]), size=0, blocks=0)

    def append(self, lines: bytes) -> None:
        """Append whole lines, MAX_APPEND bytes at most."""
        data = b"\n" + lines if self._needs_line_break else lines
        written = self._claim.under(lambda: self._blob.append_block(data, **self._conditions()))
        self._know(str(written["etag"]), self.size + len(data), self._blocks + 1)

    def set_attempts(self, count: int) -> None:
        written = self._claim.under(lambda: self._blob.set_blob_metadata(_metadata(count), **self._conditions()))
        self.attempts = count
        self._etag = str(written["etag"])

    def delete(self) -> None:
        self._claim.under(lambda: self._blob.delete_blob(lease=self._claim.id))

    def _create(self) -> str | None:
        """Return the ETag of a new, empty blob, or None if there is a blob already."""
        try:
            created = self._blob.create_append_blob(match_condition=MatchConditions.IfMissing)
        except HttpResponseError as error:
            if code_of(error) in _EXISTS:
                return None
            raise
        return str(created["etag"])

    def _know(self, etag: str, size: int, blocks: int) -> None:
        self._etag, self.size, self._blocks = etag, size, blocks
        self._needs_line_break = False

    def _conditions(self) -> dict[str, Any]:
        return {"lease": self._claim.id, **only_if_unchanged(self._etag)}


def stored_attempts(properties: BlobProperties) -> int:
    """Return the number of attempts in the metadata, or 0 if there is none or garbage."""
    metadata = {key.casefold(): value for key, value in (properties.metadata or {}).items()}
    value = metadata.get("attempts", "")
    return int(value) if _COUNT.fullmatch(value) else 0


def _metadata(attempts: int) -> dict[str, str]:
    return {"attempts": str(attempts)}
