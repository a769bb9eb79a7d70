"""What the host gave up on → a document.

After its last try the host puts a message on the queue `webjobs-blobtrigger-poison` of the uploads' account: the blob's
container, name and ETag, and no reason. Our own code waits outages out and writes its failures down, so this is for
what it could not: the process crashed, ran out of memory or time, or storage was down.

The queue is the whole account's. Every app with a blob trigger puts messages there, and whoever may write to it can, so
nothing in one is trusted. What is not for us is acknowledged with a warning: raising would only bring it back.
"""

import json
import logging

from transcription.errors import Abandoned, UploadGone, UploadReplaced
from transcription.pacing import Clock
from transcription.storage import Storage
from transcription.transcript import Json, Ledger, Source, failure
from transcription.upload import is_folder_marker

log = logging.getLogger(__name__)

MOST_ROUNDS = 10  # begun anew because somebody else wrote the document; then the host's tries take over
WHAT_TO_DO = (
    "The host gave this upload up after several tries, none of which came to an end: the process crashed or ran out of"
    " memory or time, or storage was down. The log of the function transcribe says which. Have it done again with"
    " infra/redrive.py, or upload it again."
)


def write_down(storage: Storage, clock: Clock, message: bytes) -> Json | None:
    """The `Failed`/`Abandoned` document, if one was needed for the upload that the message names.

    None is where the blob is gone, or where any document of its content is there by now: a transcript, or a failure
    with a reason, which the message lacks (after each `Exhausted` the host tries again, and ends here).

    It is about the content that is there now, whatever ETag the message has. The tries were, too: under Event Grid each
    reads what is there. Setting metadata changes the ETag and raises no event, so to wait for the new ETag's own event
    could be to wait forever; and where one does come, it does an abandoned upload again.

    UploadReplaced: others write its document all the time. Errors of the storage SDK pass through.
    """
    named = _blob_of(message)
    if named is None:
        log.warning("Ignored a message on the poison queue that is not the host's (%d bytes)", len(message))
        return None
    container, name = named
    if container != storage.audio_container:
        log.warning(
            "Ignored a message on the poison queue for container %.80r: only %r is watched",
            container,
            storage.audio_container,
        )
        return None
    try:
        return _write(storage, clock, name)
    except UploadGone:
        log.info("The host gave %.200r up, which is gone: nothing to do", name)
        return None


def _write(storage: Storage, clock: Clock, name: str) -> Json | None:
    for _ in range(MOST_ROUNDS):
        storage.upload(name)  # UploadGone, before anything else is asked for under that name
        # The document first: one that is written in between belongs to a newer upload, and is then not replaced.
        before = storage.with_captions(storage.outcome(name), name)
        upload = storage.upload(name)
        if is_folder_marker(upload) or before.source_etag == upload.etag:
            return None
        source = Source(storage.audio_container, name, upload.etag, upload.size)
        document = failure(Abandoned(WHAT_TO_DO), source, Ledger(), clock.now())
        if storage.write(name, document, {}, before):
            return document
    raise UploadReplaced(f"the document of {name!r} was written by others {MOST_ROUNDS} times")


def _blob_of(message: bytes) -> tuple[str, str] | None:
    """Container and name, if this is a message of that form."""
    try:
        content = json.loads(message)
        container, name = content["ContainerName"], content["BlobName"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (container, name) if isinstance(container, str) and isinstance(name, str) else None
