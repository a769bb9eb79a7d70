"""Writes documents for uploads that the host gave up on.

After its last try the host puts a message on the queue `webjobs-blobtrigger-poison` of the uploads' account. It names
the blob's container, name and ETag, and gives no reason. Our own code waits out outages and writes down its failures.
So these messages are about other cases: the process crashed, ran out of memory or time, or storage was down.

The queue belongs to the whole account. Every app with a blob trigger writes to it, and so may anyone else with access,
so nothing in a message is trusted. A message that is not for this app is dropped with a warning, because an error would
only bring it back.

The document is about the current content, whatever ETag the message has. The host's tries were about it too: with Event
Grid, each try reads the current content. Setting metadata changes the ETag without an event, so the new ETag may never
get an event of its own. If it does get one, the abandoned upload is transcribed again.
"""

import json
import logging

from transcription.clock import Clock
from transcription.errors import Abandoned
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcript.document import failure, log_line
from transcription.transcript.model import Source, Usage

ADVICE = (
    "The host gave up on this upload after several tries, none of which finished: the process crashed or ran out of"
    " memory or time, or storage was down. The log of the function transcribe says which. The app tries again by"
    " itself within half an hour, and up to five times."
)
GIVEN_UP = (
    "Five tries ended without any answer for this upload: each time, the process crashed or ran out of memory, or the"
    " service did not answer. The log of the function again says which. Once the cause is gone, run infra/redrive.py,"
    " or upload the recording again."
)

log = logging.getLogger(__name__)


def upload_name(message: bytes, watched_container: str) -> str | None:
    """Return the name of the upload that a message is about, or None if it is not for this app."""
    try:
        content = json.loads(message)
        container, name = content["ContainerName"], content["BlobName"]
    except (ValueError, KeyError, TypeError, RecursionError):
        container = name = None
    if not isinstance(container, str) or not isinstance(name, str):
        log.warning("Ignored a message on the poison queue that is not the host's (%d bytes)", len(message))
        return None
    if container != watched_container:
        log.warning(
            "Ignored a message on the poison queue for container %.80r: only %r is watched",
            container,
            watched_container,
        )
        return None
    return name


def write_abandoned(uploads: Uploads, transcripts: Transcripts, clock: Clock, upload: UploadProperties) -> None:
    """Write and log the `Failed`/`Abandoned` document of `upload`.

    Does nothing if this content already has a document. That document is a transcript, or a failure with a reason,
    which the message lacks. (After each `Exhausted` the host tries again, and the last try ends here.)
    Raises UploadReplaced or UploadGone if this content of the upload no longer exists.
    """
    existing = transcripts.find(upload.name)
    if upload.is_folder_marker:
        return
    source = Source(uploads.container, upload.name, upload.etag, upload.size)
    document = failure(Abandoned(ADVICE), source, Usage(), clock.now())

    def should_keep(stored: StoredDocument) -> bool:
        return stored.source_etag == upload.etag

    if transcripts.publish(uploads, upload, document, {}, existing, should_keep):
        log.info(log_line(document, Usage(), 0.0))
        log.error("%r: %s", upload.name, ADVICE)
