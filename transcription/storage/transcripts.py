"""The container of transcripts: lookups of documents, and conditional writes.

A document and its captions are several blobs, and storage has no transaction over them. Writing the document is the
commit. It comes last, and replaces only the document that was looked up before. A writer that comes too late removes
its captions again. Every write and deletion is conditional on the state *before* the last check that the upload is
still the same. So the remaining captions belong to the remaining document, however many workers write at the same time
and however often the upload is replaced.

One thing breaks this: a worker that dies or loses storage after writing captions and before writing the document. The
next writer of the same name cleans up, and the host redelivers the upload while there is work left.

The SDK's errors pass through unless a method says otherwise: they mean that storage is down.
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContentSettings

from transcription.errors import UploadReplaced
from transcription.settings.app import StorageSettings
from transcription.storage.account import CACHED_CLIENTS, only_if_unchanged, read_stored
from transcription.storage.names import output_name
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcript.document import missing_seconds
from transcription.transcript.model import FAILED, NO_SPEECH, PARTIAL, Json

LONGEST_DOCUMENT = 16 << 20  # bytes; longer documents are not read; two hours of words take some MB
MAX_WRITES = 10  # of one document; if others win the race each time, the host's own retries take over
DOCUMENT_TYPE = "application/json; charset=utf-8"
CAPTION_TYPES = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class StoredDocument:
    """The current document of an upload.

    etag: the document's own; None if there is no document.
    source_etag: the ETag of the content that was transcribed.
    final: another try would change nothing.
    partial: it has only some of the words, and lacks `missing` seconds of speech.
    captions: the captions next to it, kind → ETag; empty unless they were looked up.
    """

    etag: str | None
    source_etag: str | None = None
    final: bool = False
    partial: bool = False
    missing: float = math.inf
    captions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, blob: BlobProperties) -> "StoredDocument":
        """Read the blob's properties. They do not show whether a failure is final, so none counts as final."""
        metadata = {key.casefold(): value for key, value in (blob.metadata or {}).items()}
        status = metadata.get("status")
        final = status not in (FAILED, PARTIAL)
        return cls(blob.etag, metadata.get("source_etag"), final, partial=status == PARTIAL)

    def finishes(self, upload: UploadProperties) -> bool:
        """Tell whether this document is final and belongs to this content of the upload."""
        return self.final and self.source_etag == upload.etag

    def is_preferable(self, document: Json, captions: Mapping[str, str], upload: UploadProperties) -> bool:
        """Tell whether to keep this document, with its captions, rather than write the new ones."""
        complete = self.finishes(upload) and self.captions.keys() >= captions.keys()
        return complete or self._has_more_words(document, upload)

    def _has_more_words(self, document: Json, upload: UploadProperties) -> bool:
        """Tell whether this document has words of the same content that the new `document` lacks."""
        if not self.partial or self.source_etag != upload.etag:
            return False
        return document["status"] == FAILED or ("error" in document and missing_seconds(document) > self.missing)


class Transcripts:
    """The container of documents and captions."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self._container = service.get_container_client(settings.transcript_container)
        self._blob = lru_cache(CACHED_CLIENTS)(self._container.get_blob_client)

    def find(self, name: str) -> StoredDocument:
        """Return the current document of an upload. A document that cannot be read is not final."""
        document = self._blob(output_name(name))
        try:
            properties = document.get_blob_properties()
            stored = StoredDocument.of(properties)
            if not stored.final and properties.size <= LONGEST_DOCUMENT:
                content = read_stored(document, properties.etag)
                stored = replace(stored, final=not _wants_another_try(content), missing=_missing(content))
        except ResourceNotFoundError:
            return StoredDocument(None)
        except ResourceModifiedError:
            pass  # it was just rewritten; a write that relies on the old one will fail
        return stored

    def with_captions(self, stored: StoredDocument, name: str) -> StoredDocument:
        """Return `stored` with the captions next to it, in one request."""
        kinds = {output_name(name, kind): kind for kind in CAPTION_TYPES}
        try:
            blobs = list(self._container.list_blobs(name_starts_with=output_name(name, "")))
        except ResourceNotFoundError:  # there is no container
            blobs = []
        return replace(stored, captions={kinds[blob.name]: blob.etag for blob in blobs if blob.name in kinds})

    def publish(
        self,
        uploads: Uploads,
        upload: UploadProperties,
        document: Json,
        captions: Mapping[str, str],
        existing: StoredDocument,
        should_keep: Callable[[StoredDocument], bool],
    ) -> bool:
        """Write the outputs of `upload`, unless `should_keep(current document)`. Return True if they were written.

        `existing` was looked up before the work began, without captions.
        Raises UploadReplaced or UploadGone if this content of the upload no longer exists.
        """
        # The usual case, a first transcript, does not look up older captions. If there are any, the write fails.
        if existing.etag or document["status"] in (FAILED, NO_SPEECH):
            existing = self.with_captions(existing, upload.name)
        for _ in range(MAX_WRITES):
            if should_keep(existing):
                return False
            if uploads.find(upload.name).etag != upload.etag:
                raise UploadReplaced(upload.name)
            if self.write(upload.name, document, captions, existing):
                return True
            existing = self.with_captions(self.find(upload.name), upload.name)
        raise UploadReplaced(f"Others wrote the document of {upload.name!r} first, {MAX_WRITES} times in a row")

    def write(self, name: str, document: Json, captions: Mapping[str, str], existing: StoredDocument) -> bool:
        """Write the captions (kind → text), then the document, and return True.

        Removes captions of `existing` that are no longer wanted.
        Returns False if another document was written after `existing` was looked up.
        """
        written: dict[str, str] = {}
        try:
            for kind in existing.captions.keys() - captions.keys():
                self._remove(output_name(name, kind), existing.captions[kind])
            for kind, text in captions.items():
                blob = output_name(name, kind)
                written[blob] = self._put(blob, text, CAPTION_TYPES[kind], {}, existing.captions.get(kind))
            self._put_document(name, document, existing.etag)
        except (ResourceExistsError, ResourceModifiedError):
            for blob, etag in written.items():
                with suppress(ResourceModifiedError):  # another worker has replaced it
                    self._remove(blob, etag)
            return False
        except ResourceNotFoundError:  # the container: nobody has created it yet
            with suppress(ResourceExistsError):
                self._container.create_container()
            return False
        return True

    def reassign(self, name: str, stored: StoredDocument, etag: str) -> None:
        """Change the document's source ETag, because its upload got a new one with the same content.

        Otherwise a later failure would remove its words. Does nothing if the document was replaced or cannot be read.
        """
        try:
            document = json.loads(read_stored(self._blob(output_name(name)), str(stored.etag)))
            document["source"]["etag"] = etag
            self._put_document(name, document, stored.etag)
        except (ResourceModifiedError, ResourceNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            pass

    def _put_document(self, name: str, document: Json, replacing: str | None) -> None:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
        metadata = {"status": document["status"], "source_etag": document["source"]["etag"]}
        self._put(output_name(name), body, DOCUMENT_TYPE, metadata, replacing)

    def _put(self, blob: str, text: str, content_type: str, metadata: dict[str, str], replacing: str | None) -> str:
        """Write the blob and return its new ETag.

        Raises ResourceExistsError or ResourceModifiedError if the current blob does not have the ETag `replacing`.
        """
        written = self._blob(blob).upload_blob(
            text.encode(errors="replace"),  # an answer may hold half a surrogate pair, which is not UTF-8
            metadata=metadata,
            content_settings=ContentSettings(content_type=content_type),
            overwrite=replacing is not None,
            **({} if replacing is None else only_if_unchanged(replacing)),
        )
        return str(written["etag"])

    def _remove(self, blob: str, etag: str) -> None:
        """Delete the blob if it exists.

        Raises ResourceModifiedError if it no longer has that ETag.
        """
        with suppress(ResourceNotFoundError):
            self._container.delete_blob(blob, **only_if_unchanged(etag))


def _wants_another_try(document: bytes) -> bool:
    """Tell whether another try could change the document. It could if the document cannot be read.

    Gaps without an error would remain after another try.
    """
    try:
        content = json.loads(document)
        if content.get("status") == PARTIAL and "error" not in content:
            return False
        return bool(content["error"]["tryAgain"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return True


def _missing(document: bytes) -> float:
    try:
        return missing_seconds(json.loads(document))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf  # any document has more words than an unreadable one
