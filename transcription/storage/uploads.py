"""The container of uploads: their properties, and their bytes as a seekable file.

Every read is conditional on the upload's ETag, so a recording is never a mixture of old and new content. Errors of the
SDK that no method names pass through: they mean that storage is down.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from transcription.errors import UploadGone, UploadReplaced
from transcription.settings.app import StorageSettings
from transcription.storage.account import BLOCK_BYTES, CLIENTS_KEPT, bare_etag, read_stored
from transcription.storage.names import is_reachable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UploadProperties:
    """One upload. `etag` has no quotes; `metadata` has keys in lower case, because HTTP ignores their case."""

    name: str
    etag: str
    size: int
    metadata: dict[str, str]

    @classmethod
    def of(cls, blob: BlobProperties) -> "UploadProperties":
        metadata = {key.casefold(): value for key, value in (blob.metadata or {}).items()}
        return cls(blob.name, bare_etag(blob.etag), blob.size, metadata)

    @property
    def is_folder_marker(self) -> bool:
        """Tell whether this is a folder. Accounts with a hierarchical namespace keep those as empty blobs."""
        return self.metadata.get("hdi_isfolder", "").casefold() == "true"


class Uploads:
    """The container of uploads."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self.container = settings.audio_container
        # Making a client takes a fifth of a request's CPU time, and each upload is asked for several times.
        self._blob = lru_cache(CLIENTS_KEPT)(service.get_container_client(self.container).get_blob_client)

    def find(self, name: str) -> UploadProperties:
        """Return the upload that is there now.

        Raises UploadGone if there is none, or none that a request can reach.
        """
        if not is_reachable(name):
            log.warning("Ignored %.200r: a request for that name would not reach that blob", name)
            raise UploadGone(f"{name!r:.200} cannot be reached")
        with _upload_errors(name):
            return UploadProperties.of(self._blob(name).get_blob_properties())

    def read(self, upload: UploadProperties, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` of exactly this content.

        Raises UploadReplaced or UploadGone if it is no longer there.
        """
        with _upload_errors(upload.name):
            return read_stored(self._blob(upload.name), upload.etag, offset, length)

    def open(self, upload: UploadProperties) -> BinaryIO:
        """Return the upload as a seekable file that is read in blocks, never as a whole.

        Any read raises UploadReplaced or UploadGone if the content is no longer there.
        """
        return io.BufferedReader(_BlockReader(self, upload))


class _BlockReader(io.RawIOBase):
    """A file that reads blocks of BLOCK_BYTES.

    It caches the two blocks used last: formats with an index at their end go back and forth between that and the audio.
    """

    CACHED_BLOCKS = 2

    def __init__(self, uploads: Uploads, upload: UploadProperties) -> None:
        super().__init__()
        self._uploads = uploads
        self._upload = upload
        self._position = 0
        self._blocks: dict[int, bytes] = {}  # in the order of last use

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
        piece = self._block(number)[skipped : skipped + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

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


@contextmanager
def _upload_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError:
        raise UploadGone(f"{name!r} was deleted") from None
    except ResourceModifiedError:
        raise UploadReplaced(f"{name!r} was replaced") from None
