"""The container of transcripts: lookups of documents, and conditional writes.

A document and its captions are several blobs, and storage has no transaction over them. Writing the document is the
commit. It comes last, and replaces only the document that was looked up before. A writer that comes too late removes
its captions again. Every write and deletion is conditional on the state *before* the last check that the upload is
still the same. So the remaining captions belong to the remaining document, however many workers write at the same time
and however often the upload is replaced.

One thing breaks this: a worker that dies or loses storage after writing captions and before writing the document. The
next writer of the same name cleans up, and the host redelivers the upload while there is work left.

The SDK's errors pass through unless a method says otherwise: they mean that storage is down or refuses access.
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContentSettings

from transcription.errors import Abandoned, StorageFailed, UploadReplaced
from transcription.settings.app import StorageSettings
from transcription.storage.account import CACHED_CLIENTS, only_if_unchanged, read_stored
from transcription.storage.names import output_name
from transcription.storage.refusals import ignored_if_race_lost, is_lasting, is_lost_race
from transcription.storage.uploads import UploadProperties, Uploads, metadata_of
from transcription.transcript.document import missing_seconds
from transcription.transcript.model import FAILED, NO_SPEECH, PARTIAL, Json

MAX_DOCUMENT_BYTES = 16 << 20  # bytes; longer documents are not read; two hours of words take some MB
MAX_WRITES = 10  # of one document, while others win the race each time
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
    abandoned: its error is `Abandoned`; False unless the document was looked up.
    captions: the captions next to it, kind → ETag; empty unless they were looked up.
    """

    etag: str | None
    source_etag: str | None = None
    final: bool = False
    partial: bool = False
    missing: float = math.inf
    abandoned: bool = False
    captions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, blob: BlobProperties) -> "StoredDocument":
        """Read the blob's properties.

        Older documents have no `try_again`. Their failures and gaps do not count as final.
        """
        metadata = metadata_of(blob)
        status = metadata.get("status")
        try_again = metadata.get("try_again")
        final = try_again == "false" if try_again in ("true", "false") else status not in (FAILED, PARTIAL)
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
        if document["status"] == FAILED:
            return True
        return "error" in document and (self.final or missing_seconds(document) > self.missing)


class Transcripts:
    """The container of documents and captions."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self._container = service.get_container_client(settings.transcript_container)
        self._blob = lru_cache(CACHED_CLIENTS)(self._container.get_blob_client)

    def find(self, name: str) -> StoredDocument:
        """Return the current document of an upload.

        The body tells what the metadata do not: whether an older document is final, how many words a transcript lacks,
        and who gave up on the upload.
        """
        document = self._blob(output_name(name))
        try:
            properties = document.get_blob_properties()
            stored = StoredDocument.of(properties)
            has_more = not stored.final or metadata_of(properties).get("status") == FAILED
            if has_more and properties.size <= MAX_DOCUMENT_BYTES:
                with ignored_if_race_lost():  # it was just rewritten; a write that relies on the old one will fail
                    stored = _with_body(stored, read_stored(document, properties.etag))
        except ResourceNotFoundError:
            return StoredDocument(None)
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
        Raises StorageFailed if other workers were first each time.
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
        raise StorageFailed(f"Others wrote the document of {upload.name!r} first, {MAX_WRITES} times in a row")

    def write(self, name: str, document: Json, captions: Mapping[str, str], existing: StoredDocument) -> bool:
        """Write the captions (kind → text), then the document, and return True.

        Removes captions of `existing` that are no longer wanted.
        Returns False if another document was written after `existing` was looked up. Raises the SDK's error if storage
        refuses a write for another reason.
        """
        written: dict[str, str] = {}
        try:
            for kind in existing.captions.keys() - captions.keys():
                self._remove(output_name(name, kind), existing.captions[kind])
            for kind, text in captions.items():
                blob = output_name(name, kind)
                written[blob] = self._put(blob, text, CAPTION_TYPES[kind], {}, existing.captions.get(kind))
            self._put_document(name, document, existing.etag)
        except ResourceNotFoundError:  # the container does not exist yet
            with ignored_if_race_lost():
                self._container.create_container()
            return False
        except HttpResponseError as error:
            if is_lost_race(error) or is_lasting(error):  # so the document was not written
                for blob, etag in written.items():
                    with ignored_if_race_lost():  # another worker has replaced it
                        self._remove(blob, etag)
            if not is_lost_race(error):
                raise
            return False
        return True

    def _put_document(self, name: str, document: Json, replacing: str | None) -> None:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
        metadata = {"status": document["status"], "source_etag": document["source"]["etag"]}
        metadata["try_again"] = "true" if document.get("error", {}).get("tryAgain") else "false"
        self._put(output_name(name), body, DOCUMENT_TYPE, metadata, replacing)

    def _put(self, blob: str, text: str, content_type: str, metadata: dict[str, str], replacing: str | None) -> str:
        """Write the blob and return its new ETag.

        Raises HttpResponseError, for a lost race, if the current blob does not have the ETag `replacing`.
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

        Raises HttpResponseError, for a lost race, if it no longer has that ETag.
        """
        with suppress(ResourceNotFoundError):
            self._container.delete_blob(blob, **only_if_unchanged(etag))


def _with_body(stored: StoredDocument, body: bytes) -> StoredDocument:
    """Return `stored` with what its body says."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return stored
    final = stored.final or not _wants_another_try(document)
    return replace(stored, final=final, missing=_missing(document), abandoned=_is_abandoned(document))


def _wants_another_try(document: Any) -> bool:
    """Tell whether another try could change the document. It could if the document makes no sense.

    Gaps without an error would remain after another try.
    """
    try:
        if document.get("status") == PARTIAL and "error" not in document:
            return False
        return bool(document["error"]["tryAgain"])
    except (KeyError, TypeError, AttributeError):
        return True


def _missing(document: Any) -> float:
    try:
        return missing_seconds(document)
    except (ValueError, KeyError, TypeError, OverflowError):
        return math.inf  # any document has more words than one that makes no sense


def _is_abandoned(document: Any) -> bool:
    try:
        return bool(document["error"]["code"] == Abandoned.code)
    except (KeyError, TypeError):
        return False
