"""Writes the documents of uploads that the host gave up on.

After its last try the host puts a message on the queue `webjobs-blobtrigger-poison` of the uploads' account. It names
the blob's container, name and ETag, and gives no reason. Our own code waits out outages and writes down its failures,
so this is for the rest: the process crashed, ran out of memory or time, or storage was down.

The queue belongs to the whole account. Every app with a blob trigger writes to it, and anyone else with the right may,
so nothing in a message is trusted. A message that is not for us is dropped with a warning: an error would only bring it
back.

The document is about the content that is there now, whatever ETag the message has. The host's tries were, too: under
Event Grid each reads what is there. Setting metadata changes the ETag without an event, so waiting for the new ETag's
own event could be waiting forever. If one does come, it does the abandoned upload again.
"""

import json
import logging

from transcription.clock import Clock
from transcription.errors import Abandoned
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcript.document import failure
from transcription.transcript.model import Json, Source, Usage

WHAT_TO_DO = (
    "The host gave up on this upload after several tries, none of which finished: the process crashed or ran out of"
    " memory or time, or storage was down. The log of the function transcribe says which. Run infra/redrive.py to try"
    " again, or upload it again."
)

log = logging.getLogger(__name__)


def upload_name(message: bytes, watched: str) -> str | None:
    """Return the name of the upload that a message is about, or None if it is not about the `watched` container."""
    try:
        content = json.loads(message)
        container, name = content["ContainerName"], content["BlobName"]
    except (ValueError, KeyError, TypeError, RecursionError):
        container = name = None
    if not isinstance(container, str) or not isinstance(name, str):
        log.warning("Ignored a message on the poison queue that is not the host's (%d bytes)", len(message))
        return None
    if container != watched:
        log.warning("Ignored a message on the poison queue for container %.80r: only %r is watched", container, watched)
        return None
    return name


def write_down(uploads: Uploads, transcripts: Transcripts, clock: Clock, upload: UploadProperties) -> Json | None:
    """Write the `Failed`/`Abandoned` document of `upload` and return it.

    Returns None where a document of this content is there already: a transcript, or a failure with a reason, which the
    message lacks. (After each `Exhausted` the host tries again, and ends here.)
    Raises UploadReplaced or UploadGone if the content is no longer there.
    """
    existing = transcripts.find(upload.name)
    if upload.is_folder_marker:
        return None
    source = Source(uploads.container, upload.name, upload.etag, upload.size)
    document = failure(Abandoned(WHAT_TO_DO), source, Usage(), clock.now())

    def keep(stored: StoredDocument) -> bool:
        return stored.source_etag == upload.etag

    return document if transcripts.publish(uploads, upload, document, {}, existing, keep) else None
