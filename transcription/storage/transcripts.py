"""The container of transcripts: which document is there, and conditional writes.

A document and its captions are several blobs, and storage has no transaction over them. Writing the document is the
commit. It comes last, and replaces only the document that was there when its writer began. A writer that comes too late
removes its captions again. All writes and deletions are conditional on what was there *before* the upload was last seen
to be the one they belong to. So the captions that remain are those of the document that remains, whoever writes at the
same time and however often the upload is replaced meanwhile.

One thing breaks this: a worker that dies, or loses its storage, between captions and document. The next writer of the
same name cleans up, and the host sends one where there is work left.

Errors of the SDK that no method names pass through: they mean that storage is down.
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
from transcription.storage.account import CLIENTS_KEPT, only_if_unchanged, read_stored
from transcription.storage.names import output_name
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcript.document import missing_seconds
from transcription.transcript.model import FAILED, NO_SPEECH, PARTIAL, Json

LONGEST_DOCUMENT = 16 << 20  # bytes that are read of an unfinished document; two hours of words take some MB
MOST_WRITES = 10  # of one document; others win the race each time, so the host's own retries take over
DOCUMENT_TYPE = "application/json; charset=utf-8"
CAPTION_TYPES = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class StoredDocument:
    """The document that is there now. `etag` is its own; None means that there is no document.

    final: nothing is left to try. partial: it has some of the words, and says that it lacks `missing` seconds.
    captions: those next to it, kind → ETag, where they were looked for.
    """

    etag: str | None
    source_etag: str | None = None
    final: bool = False
    partial: bool = False
    missing: float = math.inf
    captions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, blob: BlobProperties) -> "StoredDocument":
        """Return what a listing tells. It does not tell whether a failure or a gap is final, so it counts as not."""
        metadata = {key.casefold(): value for key, value in (blob.metadata or {}).items()}
        status = metadata.get("status")
        final = status not in (FAILED, PARTIAL)
        return cls(blob.etag, metadata.get("source_etag"), final, partial=status == PARTIAL)

    def finishes(self, upload: UploadProperties) -> bool:
        """Tell whether this upload's content is done and nothing is left to try."""
        return self.final and self.source_etag == upload.etag

    def makes_needless(self, document: Json, captions: Mapping[str, str], upload: UploadProperties) -> bool:
        """Tell whether there is no reason to write these outputs: it is final, or has more of the words."""
        complete = self.finishes(upload) and self.captions.keys() >= captions.keys()
        return complete or self.has_more_than(document, upload)

    def has_more_than(self, document: Json, upload: UploadProperties) -> bool:
        """Tell whether it has words of this content that a new try's `document` lacks."""
        if not self.partial or self.source_etag != upload.etag:
            return False
        return document["status"] == FAILED or ("error" in document and missing_seconds(document) > self.missing)


class Transcripts:
    """The container of documents and captions."""

    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self._container = service.get_container_client(settings.transcript_container)
        self._blob = lru_cache(CLIENTS_KEPT)(self._container.get_blob_client)

    def find(self, name: str) -> StoredDocument:
        """Return what is known of an upload's document. A document that cannot be read is not final."""
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
            pass  # it was just rewritten: whoever relies on what was read will find out when writing
        return stored

    def with_captions(self, stored: StoredDocument, name: str) -> StoredDocument:
        """Return `stored` with the captions next to it, in one request."""
        kinds = {output_name(name, kind): kind for kind in CAPTION_TYPES}
        try:
            found = list(self._container.list_blobs(name_starts_with=output_name(name, "")))
        except ResourceNotFoundError:  # the container
            found = []
        return replace(stored, captions={kinds[blob.name]: blob.etag for blob in found if blob.name in kinds})

    def publish(
        self,
        uploads: Uploads,
        upload: UploadProperties,
        document: Json,
        captions: Mapping[str, str],
        existing: StoredDocument,
        keep: Callable[[StoredDocument], bool],
    ) -> bool:
        """Write the outputs of `upload`, unless `keep` prefers the document that is there. Return whether it wrote.

        `existing` was looked up before the work began, without captions.
        Raises UploadReplaced or UploadGone if the outputs no longer belong to the upload that is there.
        """
        # A first transcript, the usual case, does not look for older captions: its write fails if it meets any.
        if existing.etag or document["status"] in (FAILED, NO_SPEECH):
            existing = self.with_captions(existing, upload.name)
        for _ in range(MOST_WRITES):
            if keep(existing):
                return False
            if uploads.find(upload.name).etag != upload.etag:
                raise UploadReplaced(upload.name)
            if self.write(upload.name, document, captions, existing):
                return True
            existing = self.with_captions(self.find(upload.name), upload.name)
        raise UploadReplaced(f"The document of {upload.name!r} was written by others {MOST_WRITES} times")

    def write(self, name: str, document: Json, captions: Mapping[str, str], existing: StoredDocument) -> bool:
        """Write the captions (kind → text) and then the document, and return True.

        Returns False if another document came after `existing` was looked up. Removes the captions of `existing` that
        are no longer wanted.
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
        """Make the document that of its content's new ETag, so that a later failure does not remove its words.

        Does nothing where the document was replaced or cannot be read.
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

        Raises ResourceExistsError or ResourceModifiedError if the blob is not the one with the ETag `replacing`.
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

        Raises ResourceModifiedError if it is no longer the one with that ETag.
        """
        with suppress(ResourceNotFoundError):
            self._container.delete_blob(blob, **only_if_unchanged(etag))


def _wants_another_try(document: bytes) -> bool:
    """Tell whether a document asks for another try.

    Gaps without an error would be there after another try as well. A failure that cannot be read is tried again.
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
        return math.inf  # any document has more words than one that cannot be read
