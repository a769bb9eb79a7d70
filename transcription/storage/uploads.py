"""The container of uploads: their properties, and their bytes as a seekable file.

Every read is conditional on the upload's ETag, so a recording is never a mixture of old and new content. The SDK's
errors pass through unless a method says otherwise: they mean that storage is down.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from transcription.errors import UploadGone, UploadReplaced, UploadUnreadable
from transcription.settings.app import StorageSettings
from transcription.storage.account import BLOCK_BYTES, CACHED_CLIENTS, bare_etag, read_stored
from transcription.storage.names import is_reachable
from transcription.storage.refusals import advice, code_of, is_lasting, is_lost_race

LONG_AGO = datetime.min.replace(tzinfo=UTC)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UploadProperties:
    """One upload. `etag` has no quotes; `metadata` has keys in lower case, because HTTP ignores their case."""

    name: str
    etag: str
    size: int
    metadata: dict[str, str]
    uploaded: datetime = LONG_AGO

    @classmethod
    def of(cls, blob: BlobProperties) -> "UploadProperties":
        return cls(blob.name, bare_etag(blob.etag), blob.size, metadata_of(blob), blob.last_modified)

    @property
    def is_folder_marker(self) -> bool:
        """Tell whether this is a folder. Accounts with a hierarchical namespace store folders as empty blobs."""
        return self.metadata.get("hdi_isfolder", "").casefold() == "true"


class Uploads:
    """The container of uploads."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self.container = settings.audio_container
        # Creating a client takes a fifth of a request's CPU time, and each upload needs several requests.
        self._container = service.get_container_client(self.container)
        self._blob = lru_cache(CACHED_CLIENTS)(self._container.get_blob_client)

    def find(self, name: str) -> UploadProperties:
        """Return the properties of the current content.

        Raises UploadGone if there is no such blob, or no request can reach it.
        """
        if not is_reachable(name):
            log.warning("Ignored %.200r: a request for that name would not reach that blob", name)
            raise UploadGone(f"{name!r:.200} cannot be reached")
        try:
            with _upload_errors(name):
                return UploadProperties.of(self._blob(name).get_blob_properties())
        except HttpResponseError as error:
            if code_of(error) != "BlobUsesCustomerSpecifiedEncryption":
                raise
            return self._listed(name)

    def _listed(self, name: str) -> UploadProperties:
        """Return the properties as a listing has them, which needs no key of the uploader."""
        blobs = self._container.list_blobs(name_starts_with=name, include=["metadata"], results_per_page=1)
        first = next(iter(blobs), None)  # a listing is in order, and the name itself comes first
        if first is None or first.name != name:
            raise UploadGone(f"{name!r} was deleted")
        return UploadProperties.of(first)

    def read(self, upload: UploadProperties, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` of exactly this content.

        Raises UploadReplaced or UploadGone if this content no longer exists.
        Raises UploadUnreadable if storage refuses it until a person acts.
        """
        try:
            with _upload_errors(upload.name):
                return read_stored(self._blob(upload.name), upload.etag, offset, length)
        except HttpResponseError as error:
            if not is_lasting(error):
                raise
            message = f"Storage has this upload, but does not let the app read it ({code_of(error)}). {advice(error)}"
            raise UploadUnreadable(message) from None

    def open(self, upload: UploadProperties) -> BinaryIO:
        """Return the upload as a seekable file that is read in blocks, never as a whole.

        Each read raises UploadReplaced or UploadGone if this content no longer exists.
        """
        return io.BufferedReader(_BlockReader(self, upload))


class _BlockReader(io.RawIOBase):
    """A seekable file that reads blocks of BLOCK_BYTES."""

    CACHED_BLOCKS = 2  # formats with an index at their end make readers go back and forth between index and audio

    def __init__(self, uploads: Uploads, upload: UploadProperties) -> None:
        super().__init__()
        self._uploads = uploads
        self._upload = upload
        self._position = 0
        self._blocks: dict[int, bytes] = {}  # least recently used first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._upload.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
        """Fill `buffer` up to the end of the current block, and return the number of bytes; 0 at the end."""
        number, skipped = divmod(self._position, BLOCK_BYTES)
        content = self._block(number)[skipped : skipped + len(buffer)]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _block(self, number: int) -> bytes:
        block = self._blocks.pop(number, None)
        if block is None:
            start = number * BLOCK_BYTES
            length = min(BLOCK_BYTES, self._upload.size - start)
            block = self._uploads.read(self._upload, start, length) if length > 0 else b""
        self._blocks[number] = block
        while len(self._blocks) > self.CACHED_BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        return block


def metadata_of(blob: BlobProperties) -> dict[str, str]:
    """Return the blob's metadata with keys in lower case."""
    return {key.casefold(): value for key, value in (blob.metadata or {}).items()}


@contextmanager
def _upload_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError:
        raise UploadGone(f"{name!r} was deleted") from None
    except HttpResponseError as error:
        if not is_lost_race(error):  # such as an archived blob
            raise
        raise UploadReplaced(f"{name!r} was replaced") from None
