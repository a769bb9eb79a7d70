"""The story: one upload → one document.

Results and final failures are written down. Only what may pass is left to the host, which tries an upload five times
and then puts it on the poison queue.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

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

T = TypeVar("T")

log = logging.getLogger(__name__)

MOST_ROUNDS = 10  # restarts because the upload was replaced; then the host's retries take over


@dataclass(frozen=True)
class _Outputs:
    """What is written for one upload. `error` is set where somebody other than the uploader has to act."""

    document: Json
    captions: Mapping[str, str] = field(default_factory=dict)
    error: TranscriptionError | None = None


class Job:
    """What one process does with uploads, on any thread.

    `work` is the error instead where the settings allow no work. Then each upload's document says so.
    """

    def __init__(
        self, uploads: Uploads, transcripts: Transcripts, work: Transcriber | Misconfigured, clock: Clock
    ) -> None:
        self._uploads = uploads
        self._transcripts = transcripts
        self._work = work
        self._clock = clock
        self._seconds = 0.0 if isinstance(work, Misconfigured) else work.settings.limits.processing_seconds

    @without_addresses()
    def run(self, container: str, name: str) -> None:
        """Make the upload's document, unless it is there already.

        Raises Exhausted if the service was unavailable for the whole budget; the document says so.
        Raises UploadReplaced if the upload is replaced faster than it can be transcribed.
        Raises StorageFailed. The host tries again after any of these.
        """
        if container != self._uploads.container:
            log.warning("Ignored an event for container %r: only %r is watched", container, self._uploads.container)
            return
        budget = Budget(self._clock, self._seconds, name)
        self._with_current(name, lambda upload: self._finish(upload, budget))

    @without_addresses()
    def abandon(self, message: bytes) -> None:
        """Write the document of an upload that the host gave up on. Needs the storage settings only.

        Raises StorageFailed.
        """
        name = poison.upload_name(message, self._uploads.container)
        if name is None:
            return
        if content := self._with_current(name, self._write_abandoned):
            log.info(log_line(content, Usage(), 0.0))
            log.error("%r: %s", name, content["error"]["message"])

    def _with_current(self, name: str, work: Callable[[UploadProperties], T]) -> T | None:
        """Return `work(upload)` for the content that is there, however often it is replaced meanwhile."""
        for _ in range(MOST_ROUNDS):
            try:
                return work(self._uploads.find(name))
            except UploadReplaced:
                log.info("%.200r was replaced meanwhile: starting again with the new content", name)
            except UploadGone:
                log.info("%.200r is gone: nothing to do", name)
                return None
        raise UploadReplaced(f"{name!r} was replaced {MOST_ROUNDS} times while it was worked on")

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
        log.info(log_line(outputs.document, usage, seconds))  # also where the work was in vain: it was paid for
        if published and isinstance(outputs.error, Exhausted) and outputs.document["status"] == FAILED:
            raise outputs.error

    def _outputs(self, upload: UploadProperties, usage: Usage, budget: Budget) -> _Outputs:
        source = Source(self._uploads.container, upload.name, upload.etag, upload.size)
        try:
            if isinstance(self._work, Misconfigured):
                raise Misconfigured(str(self._work))
            check_size(upload, self._work.settings.limits)
            options = recognition_options(upload, self._work.settings.speech)
            with closing(open_recording(self._uploads.open(upload), upload.size)) as recording:
                source = replace(source, format=recording.format)
                transcript = self._work.transcribe(recording, options, usage, budget)
        except Final as error:
            return _Outputs(failure(error, source, usage, self._clock.now()))
        except (Misconfigured, Exhausted) as error:
            return _Outputs(failure(error, source, usage, self._clock.now()), error=error)
        captions = _captions(transcript, self._work.settings.document_formats)
        return _Outputs(document(transcript, source, usage, self._clock.now()), captions, transcript.error)

    def _write_abandoned(self, upload: UploadProperties) -> Json | None:
        return poison.write_down(self._uploads, self._transcripts, self._clock, upload)

    def _publish(self, upload: UploadProperties, outputs: _Outputs, existing: StoredDocument) -> bool:
        """Write the outputs, with retries: redelivery would pay for the whole recording again.

        Returns False where another worker was first, or where words of an earlier try would be lost.
        Raises UploadReplaced or UploadGone if the outputs no longer belong to the upload that is there.
        """

        def keep(stored: StoredDocument) -> bool:
            return stored.makes_needless(outputs.document, outputs.captions, upload)

        return retry_writing(
            lambda: self._transcripts.publish(
                self._uploads, upload, outputs.document, outputs.captions, existing, keep
            ),
            self._clock,
            upload.name,
        )


def _captions(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """Return the files next to the document, kind → text."""
    if set(formats) == {"json"}:
        return {}
    from transcription.transcript import captions  # 15 ms that most apps do not need

    return captions.files(transcript, formats)


def for_this_process() -> Job:
    """Return the one Job of this process.

    Raises Misconfigured if the storage settings are wrong, so that nothing can be written.
    """
    with _building:  # else two first uploads would build two
        return _build()


_building = threading.Lock()


@functools.cache
def _build() -> Job:
    return build(os.environ, SystemClock())


def build(environ: Mapping[str, str], clock: Clock) -> Job:
    """Return a Job with the clients that these settings ask for.

    Raises Misconfigured if the storage settings are wrong.
    """
    storage = StorageSettings.read(environ)
    service = connect(storage)
    uploads, transcripts = Uploads(service, storage), Transcripts(service, storage)
    try:
        settings = Settings.read(environ)
        work = Transcriber(settings, SpeechClient(settings.speech, clock))
    except Misconfigured as error:
        return Job(uploads, transcripts, error, clock)
    return Job(uploads, transcripts, work, clock)
