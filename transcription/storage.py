"""Both containers behind one client per process: pinned reads, output names, is it done, conditional writes.

A document and the captions beside it are several blobs, and storage has no transaction over them. Writing the document
is what commits: it comes last, and only replaces the document that was there when its writer began. A writer that comes
too late takes its captions away again. All writes and deletions are conditional on what was there *before* the upload
was last seen to be the one that they belong to. So whoever writes at the same time, and however often the upload is
replaced meanwhile, the captions that remain are those of the document that remains. One thing can upset this: a worker
that dies, or loses its storage, between captions and document. What it leaves is put right by the next writer for the
same name, which the host sends where there is work left.

Errors of the SDK that no method names pass through: they mean that storage is down.
"""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContentSettings

from transcription.errors import UploadGone, UploadReplaced
from transcription.names import output_name, reachable
from transcription.settings import StorageSettings
from transcription.storage_account import connect
from transcription.transcript import FAILED, PARTIAL, Json, missing_seconds

CLIENTS_KEPT = 64  # of single blobs; more than are worked on at once
LONGEST_DOCUMENT = 16 << 20  # bytes read of a document that may want another try; two hours of words take some MB
DOCUMENT_TYPE = "application/json; charset=utf-8"
CAPTION_TYPES = {
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UploadProperties:
    """`etag` has no quotes; the keys of `metadata` are in lower case, as HTTP makes no difference."""

    name: str
    etag: str
    size: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """The document that is there now, or that none is (`etag` None). `etag` is the document's own.

    `partial` is where it has some of the words; `missing`, how many seconds it says that it lacks, as far as it was
    read. `captions` are those beside it, kind → ETag, where they were looked for.
    """

    etag: str | None
    source_etag: str | None = None
    final: bool = False
    partial: bool = False
    missing: float = math.inf
    captions: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, upload: UploadProperties) -> bool:
        """Whether this upload's content is done and nothing is left to try."""
        return self.final and self.source_etag == upload.etag

    def has_more_than(self, document: Json, upload: UploadProperties) -> bool:
        """Whether it has words of this content that a new try's `document` lacks, which the next may get as well."""
        if not self.partial or self.source_etag != upload.etag:
            return False
        return document["status"] == FAILED or ("error" in document and missing_seconds(document) > self.missing)


class Storage:
    def __init__(self, service: BlobServiceClient, settings: StorageSettings) -> None:
        self.audio_container = settings.audio_container
        self._service = service
        self._transcripts = service.get_container_client(settings.transcript_container)
        # An upload is asked for several times, and making its client takes a fifth of the CPU time of a request.
        self._upload = lru_cache(CLIENTS_KEPT)(service.get_container_client(settings.audio_container).get_blob_client)
        self._document = lru_cache(CLIENTS_KEPT)(self._transcripts.get_blob_client)

    @classmethod
    def connect(cls, settings: StorageSettings) -> "Storage":
        """Opens no connection yet: those are made, and kept, as they are needed."""
        return cls(connect(settings), settings)

    def close(self) -> None:
        self._service.close()

    def upload(self, name: str) -> UploadProperties:
        """UploadGone: there is no such blob, or none that can be reached."""
        if not reachable(name):
            log.warning("Ignored %.200r: a request for that name would not end at that blob", name)
            raise UploadGone(f"{name!r:.200} cannot be reached")
        with _upload_errors(name):
            return upload_of(self._upload(name).get_blob_properties())

    def read(self, upload: UploadProperties, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` of exactly this content. UploadReplaced, UploadGone: it is there no more."""
        with _upload_errors(upload.name):
            return (
                self._upload(upload.name)
                .download_blob(offset, length, etag=f'"{upload.etag}"', match_condition=MatchConditions.IfNotModified)
                .readall()
            )

    def outcome(self, name: str) -> Outcome:
        """What is known of this upload's document. Nothing in it is trusted: what cannot be read is not final."""
        document = self._document(output_name(name))
        try:
            properties = document.get_blob_properties()
            outcome = outcome_of(properties)
            if not outcome.final and properties.size <= LONGEST_DOCUMENT:
                content = document.download_blob(**_only(properties.etag)).readall()
                outcome = replace(outcome, final=not _wants_another_try(content), missing=_missing(content))
        except ResourceNotFoundError:
            return Outcome(None)
        except ResourceModifiedError:
            pass  # written anew in between: whoever relies on this Outcome will find that out
        return outcome

    def with_captions(self, outcome: Outcome, name: str) -> Outcome:
        """The outcome of upload `name` and the captions beside it, in one request."""
        kinds = {output_name(name, kind): kind for kind in CAPTION_TYPES}
        try:
            found = list(self._transcripts.list_blobs(name_starts_with=output_name(name, "")))
        except ResourceNotFoundError:  # the container
            found = []
        return replace(outcome, captions={kinds[blob.name]: blob.etag for blob in found if blob.name in kinds})

    def write(self, name: str, document: Json, captions: Mapping[str, str], replacing: Outcome) -> bool:
        """Writes the captions (kind → text) and then the document, unless another one came after `replacing` was
        looked up; whether they were written. Captions of `replacing` that are not wanted any more are removed.
        """
        ours: dict[str, str] = {}
        try:
            for kind in replacing.captions.keys() - captions.keys():
                self._remove(output_name(name, kind), replacing.captions[kind])
            for kind, text in captions.items():
                blob = output_name(name, kind)
                ours[blob] = self._put(blob, text, CAPTION_TYPES[kind], {}, replacing.captions.get(kind))
            self._put_document(name, document, replacing.etag)
        except (ResourceExistsError, ResourceModifiedError):
            for blob, etag in ours.items():
                with suppress(ResourceModifiedError):  # another worker's by now
                    self._remove(blob, etag)
            return False
        except ResourceNotFoundError:  # the container: nobody has made it yet
            with suppress(ResourceExistsError):
                self._transcripts.create_container()
            return False
        return True

    def carry_over(self, name: str, outcome: Outcome, etag: str) -> None:
        """Makes the document that of its content's new ETag, so that no failure takes its words away. Not where another
        is there by now, or where it cannot be read.
        """
        found = self._document(output_name(name))
        try:
            document = json.loads(found.download_blob(**_only(str(outcome.etag))).readall())
            document["source"]["etag"] = etag
            self._put_document(name, document, outcome.etag)
        except (ResourceModifiedError, ResourceNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            pass

    def _put_document(self, name: str, document: Json, replacing: str | None) -> None:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
        metadata = {"status": document["status"], "source_etag": document["source"]["etag"]}
        self._put(output_name(name), body, DOCUMENT_TYPE, metadata, replacing)

    def _put(self, blob: str, text: str, content_type: str, metadata: dict[str, str], replacing: str | None) -> str:
        """The new ETag. ResourceExistsError, ResourceModifiedError: what is there is not what was to be replaced."""
        written = self._document(blob).upload_blob(
            text.encode(errors="replace"),  # half a character, which an answer of the service may hold, is no UTF-8
            metadata=metadata,
            content_settings=ContentSettings(content_type=content_type),
            overwrite=replacing is not None,
            **({} if replacing is None else _only(replacing)),
        )
        return str(written["etag"])

    def _remove(self, blob: str, etag: str) -> None:
        """ResourceModifiedError: another one is there now."""
        with suppress(ResourceNotFoundError):
            self._transcripts.delete_blob(blob, **_only(etag))


def upload_of(properties: BlobProperties) -> UploadProperties:
    return UploadProperties(properties.name, _bare(properties.etag), properties.size, _metadata(properties))


def outcome_of(properties: BlobProperties) -> Outcome:
    """What a document's properties tell. Of a failure, or of gaps, they do not tell whether it is final: it counts as
    not.
    """
    metadata = _metadata(properties)
    status = metadata.get("status")
    return Outcome(
        properties.etag, metadata.get("source_etag"), status not in (FAILED, PARTIAL), partial=status == PARTIAL
    )


def _metadata(properties: BlobProperties) -> dict[str, str]:
    return {key.casefold(): value for key, value in (properties.metadata or {}).items()}


def _only(etag: str) -> dict[str, Any]:
    """The condition that a blob is still the one of this ETag."""
    return {"etag": f'"{_bare(etag)}"', "match_condition": MatchConditions.IfNotModified}


@contextmanager
def _upload_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ResourceNotFoundError:
        raise UploadGone(f"{name!r} was deleted") from None
    except ResourceModifiedError:
        raise UploadReplaced(f"{name!r} was replaced") from None


def _wants_another_try(document: bytes) -> bool:
    """Gaps without an error are ones that another try would leave; a failure without one cannot be read."""
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
        return math.inf  # whatever comes has more words than what cannot be read


def _bare(etag: str) -> str:
    return etag.strip('"')
