"""Turns one upload into one document.

Results and final failures become documents. Only failures that may pass are left to the host, which tries an upload
five times and then puts it on the poison queue.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from transcription import poison
from transcription.audio.recording import open_recording
from transcription.clock import Budget, Clock, SystemClock
from transcription.errors import Exhausted, Final, Misconfigured, TranscriptionError, UploadGone, UploadReplaced
from transcription.options import check_size, recognition_options
from transcription.settings.app import Settings, StorageSettings
from transcription.speech.client import SpeechClient
from transcription.storage.account import connect, retry_writing, without_addresses
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcriber import Transcriber
from transcription.transcript.document import document, failure, log_line
from transcription.transcript.model import FAILED, Json, Source, Transcript, Usage

log = logging.getLogger(__name__)

MAX_ROUNDS = 10  # restarts because the upload was replaced; then the host's retries take over


@dataclass(frozen=True)
class _Outputs:
    """The document and captions of one upload. `error` is set if somebody other than the uploader has to act."""

    document: Json
    captions: Mapping[str, str] = field(default_factory=dict)
    error: TranscriptionError | None = None


class Job:
    """Transcribes the uploads of one process. Safe to use from many threads.

    If the settings are wrong, `transcriber` is the error instead, and each upload's document reports it.
    """

    def __init__(
        self, uploads: Uploads, transcripts: Transcripts, transcriber: Transcriber | Misconfigured, clock: Clock
    ) -> None:
        self._uploads = uploads
        self._transcripts = transcripts
        self._transcriber = transcriber
        self._clock = clock
        self._budget_seconds = (
            0.0 if isinstance(transcriber, Misconfigured) else transcriber.settings.limits.processing_seconds
        )

    @without_addresses()
    def run(self, container: str, name: str) -> None:
        """Transcribe the upload into its document, unless the document is already final.

        The host tries again after any error.
        Raises Exhausted if the service was unavailable for the whole budget; the document says so.
        Raises UploadReplaced if the upload is replaced faster than it can be transcribed.
        Raises StorageFailed if storage is down or refuses access.
        """
        if container != self._uploads.container:
            log.warning("Ignored an event for container %r: only %r is watched", container, self._uploads.container)
            return
        budget = Budget(self._clock, self._budget_seconds, name)
        self._with_current(name, lambda upload: self._finish(upload, budget))

    @without_addresses()
    def abandon(self, message: bytes) -> None:
        """Write the document of an upload that the host gave up on. This needs the storage settings only.

        Raises StorageFailed if storage is down or refuses access.
        """
        name = poison.upload_name(message, self._uploads.container)
        if name is not None:
            write = functools.partial(poison.write_abandoned, self._uploads, self._transcripts, self._clock)
            self._with_current(name, write)

    def _with_current(self, name: str, work: Callable[[UploadProperties], None]) -> None:
        """Call `work` with the current content, and again each time the content is replaced meanwhile."""
        for _ in range(MAX_ROUNDS):
            try:
                return work(self._uploads.find(name))
            except UploadReplaced:
                log.info("%.200r was replaced meanwhile: starting again with the new content", name)
            except UploadGone:
                log.info("%.200r is gone: nothing to do", name)
                return None
        raise UploadReplaced(f"{name!r} was replaced {MAX_ROUNDS} times while it was being transcribed")

    def _finish(self, upload: UploadProperties, budget: Budget) -> None:
        existing = self._transcripts.find(upload.name)
        if upload.is_folder_marker or existing.finishes(upload):
            return
        started = self._clock.monotonic()
        usage = Usage()
        outputs = self._outputs(upload, usage, budget)
        published = self._publish(upload, outputs, existing)
        if outputs.error:
            log.error("%r: %s", upload.name, outputs.error)
        seconds = self._clock.monotonic() - started
        log.info(log_line(outputs.document, usage, seconds))  # even if nothing was published, because it was paid for
        if published and isinstance(outputs.error, Exhausted) and outputs.document["status"] == FAILED:
            raise outputs.error

    def _outputs(self, upload: UploadProperties, usage: Usage, budget: Budget) -> _Outputs:
        source = Source(self._uploads.container, upload.name, upload.etag, upload.size)
        try:
            if isinstance(self._transcriber, Misconfigured):
                raise Misconfigured(str(self._transcriber))
            settings = self._transcriber.settings
            check_size(upload, settings.limits)
            options = recognition_options(upload, settings.speech)
            with closing(open_recording(self._uploads.open(upload), upload.size)) as recording:
                source = replace(source, format=recording.format)
                transcript = self._transcriber.transcribe(recording, options, usage, budget)
        except (Final, Misconfigured, Exhausted) as error:
            content = failure(error, source, usage, self._clock.now())
            return _Outputs(content, error=None if isinstance(error, Final) else error)
        content = document(transcript, source, usage, self._clock.now())
        return _Outputs(content, _captions(transcript, settings.document_formats), transcript.error)

    def _publish(self, upload: UploadProperties, outputs: _Outputs, existing: StoredDocument) -> bool:
        """Write the outputs, with retries, and return True. A redelivery would pay for the whole recording again.

        Returns False if another worker was first, or if words of an earlier try would be lost.
        Raises UploadReplaced or UploadGone if this content of the upload no longer exists.
        """
        new, captions = outputs.document, outputs.captions

        def should_keep(stored: StoredDocument) -> bool:
            return stored.is_preferable(new, captions, upload)

        def publish() -> bool:
            return self._transcripts.publish(self._uploads, upload, new, captions, existing, should_keep)

        return retry_writing(publish, self._clock, upload.name)


def _captions(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """Return the captions that go with the document, kind → text."""
    if set(formats) == {"json"}:
        return {}
    from transcription.transcript import captions  # takes 8 ms; most apps need no captions

    return captions.files(transcript, formats)


def build(environ: Mapping[str, str], clock: Clock) -> Job:
    """Return a Job with the clients that these settings ask for.

    Raises Misconfigured if the storage settings are wrong.
    """
    storage = StorageSettings.read(environ)
    service = connect(storage)
    uploads, transcripts = Uploads(service, storage), Transcripts(service, storage)
    try:
        settings = Settings.read(environ)
        transcriber = Transcriber(settings, SpeechClient(settings.speech, clock))
    except Misconfigured as error:
        return Job(uploads, transcripts, error, clock)
    return Job(uploads, transcripts, transcriber, clock)


_building = threading.Lock()


def for_this_process() -> Job:
    """Return the one Job of this process.

    Raises Misconfigured if the storage settings are wrong, so that nothing can be written.
    """
    with _building:  # otherwise the first two uploads would each build one
        return _build_once()


@functools.cache
def _build_once() -> Job:
    return build(os.environ, SystemClock())
