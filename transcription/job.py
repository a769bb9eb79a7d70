"""The story: one upload → one document.

Valid outcomes and final failures are written down; only what may pass is left to the host, which tries an upload five
times and then puts it on the poison queue.
"""

import functools
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from azure.core.exceptions import AzureError

from transcription import poison
from transcription.errors import (
    Exhausted,
    Final,
    Misconfigured,
    TranscriptionError,
    UploadGone,
    UploadReplaced,
)
from transcription.pacing import Budget, Clock, SystemClock
from transcription.recording import open_recording
from transcription.settings import Settings, StorageSettings
from transcription.speech import SpeechClient
from transcription.storage import Outcome, Storage, UploadProperties
from transcription.storage_account import without_addresses
from transcription.transcriber import Transcriber
from transcription.transcript import FAILED, NO_SPEECH, Json, Ledger, Source, Transcript, document, failure
from transcription.upload import check_size, is_folder_marker, open_upload, options

log = logging.getLogger(__name__)

STORAGE_WAITS = (2.0, 10.0, 30.0)  # seconds before the document is written again, beside the SDK's own retries
MOST_ROUNDS = 10  # begun anew because the upload or its document changed under us; then the host's tries take over


class Job:
    """What one process does with uploads, whichever thread they come on.

    `work` is the error instead where the settings do not allow any: then each upload's document says so.
    """

    def __init__(self, storage: Storage, work: Transcriber | Misconfigured, clock: Clock) -> None:
        self._storage = storage
        self._work = work
        self._clock = clock
        self._seconds = 0.0 if isinstance(work, Misconfigured) else work.settings.limits.processing_seconds

    @without_addresses()
    def run(self, container: str, name: str) -> None:
        """Brings the upload to its document, unless it is there already.

        Exhausted: the service could not be had within the budget (the document says so). UploadReplaced: it is
        replaced faster than it can be transcribed. StorageFailed. The host tries again after any of them.
        """
        if container != self._storage.audio_container:
            log.warning(
                "Ignored an event for container %r: only %r is watched", container, self._storage.audio_container
            )
            return
        budget = Budget(self._clock, self._seconds, name)
        for _ in range(MOST_ROUNDS):
            try:
                self._settle(self._storage.upload(name), budget)
            except UploadReplaced:
                log.info("%r was replaced meanwhile: beginning anew with the new content", name)
            except UploadGone:
                log.info("%r is gone: nothing to do", name)
                return
            else:
                return
        raise UploadReplaced(f"{name!r} was replaced {MOST_ROUNDS} times while it was worked on")

    @without_addresses()
    def abandon(self, message: bytes) -> None:
        """Writes down what the host gave up on, as `poison` tells; needs only the storage's settings. StorageFailed."""
        if content := poison.write_down(self._storage, self._clock, message):
            _report(content, Ledger(), 0.0)
            log.error("%r: %s", content["source"]["name"], content["error"]["message"])

    def _settle(self, upload: UploadProperties, budget: Budget) -> None:
        before = self._storage.outcome(upload.name)
        if is_folder_marker(upload) or before.is_of(upload):
            return
        started = self._clock.monotonic()
        ledger = Ledger()
        content, beside, error = self._document(upload, ledger, budget)
        published = self._persistently(upload, content, beside, before)
        if error:
            log.error("%r: %s", upload.name, error)
        _report(content, ledger, self._clock.monotonic() - started)  # also of what was paid in vain
        if not published:
            return
        if isinstance(error, Exhausted) and content["status"] == FAILED:
            raise error

    def _document(
        self, upload: UploadProperties, ledger: Ledger, budget: Budget
    ) -> tuple[Json, dict[str, str], TranscriptionError | None]:
        """The document, the captions beside it, and its error where somebody other than the uploader has to do
        something.
        """
        source = Source(self._storage.audio_container, upload.name, upload.etag, upload.size)
        try:
            if isinstance(self._work, Misconfigured):
                raise Misconfigured(str(self._work))
            check_size(upload, self._work.settings.limits)
            asked = options(upload, self._work.settings.speech)
            with closing(open_recording(open_upload(self._storage, upload), upload.size)) as recording:
                source = replace(source, format=recording.format)
                transcript = self._work.transcribe(recording, asked, ledger, budget)
        except Final as error:
            return failure(error, source, ledger, self._clock.now()), {}, None
        except (Misconfigured, Exhausted) as error:
            return failure(error, source, ledger, self._clock.now()), {}, error
        files = _captions(transcript, self._work.settings.document_formats)
        return document(transcript, source, ledger, self._clock.now()), files, transcript.error

    def _persistently(
        self, upload: UploadProperties, content: Json, beside: Mapping[str, str], before: Outcome
    ) -> bool:
        """`_publish`, tried again where storage fails: the host's next try would pay for the whole recording anew."""
        for seconds in STORAGE_WAITS:
            try:
                return self._publish(upload, content, beside, before)
            except AzureError as error:
                log.warning(
                    "%r: storage failed (%s), trying again in %.0f s", upload.name, type(error).__name__, seconds
                )
                self._clock.sleep(seconds, threading.Event())
        return self._publish(upload, content, beside, before)

    def _publish(self, upload: UploadProperties, content: Json, beside: Mapping[str, str], before: Outcome) -> bool:
        """Writes document and captions; False where another worker had the same upload and was first, or where words
        that an earlier try got would be lost.

        UploadReplaced, UploadGone: they do not belong any more to what is there.
        """
        # A first transcript, the usual case, needs no look for older captions: it is refused if it meets any.
        if before.etag or content["status"] in (FAILED, NO_SPEECH):
            before = self._storage.with_captions(before, upload.name)
        for _ in range(MOST_ROUNDS):
            if before.has_more_than(content, upload):
                return False
            if self._storage.upload(upload.name).etag != upload.etag:
                raise UploadReplaced(upload.name)
            if self._storage.write(upload.name, content, beside, before):
                return True
            before = self._storage.with_captions(self._storage.outcome(upload.name), upload.name)
            if before.is_of(upload) and before.captions.keys() >= beside.keys():
                return False  # and it lost no caption to us
        raise UploadReplaced(f"the document of {upload.name!r} was written by others {MOST_ROUNDS} times")


def _captions(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """The files beside the document, kind → text."""
    if set(formats) == {"json"}:
        return {}
    from transcription import captions  # 15 ms that most apps do not need

    return captions.files(transcript, formats)


def _report(content: Json, ledger: Ledger, seconds: float) -> None:
    """One line of JSON per recording. The worker forwards nothing of a log record but its message, so all is in
    there.
    """
    line = {
        "event": "transcription",
        "name": content["source"]["name"],
        "status": content["status"],
        "code": content.get("error", {}).get("code"),
        "language": content.get("language"),
        "audioSeconds": content.get("durationSeconds"),
        "audioSecondsSent": round(ledger.audio_seconds, 3),
        "requests": ledger.requests,
        "retries": ledger.requests - ledger.answers,
        "seconds": round(seconds, 3),
    }
    log.info(json.dumps({key: value for key, value in line.items() if value is not None}))


def for_this_process() -> Job:
    """The one Job of this process. Misconfigured: not even the storage settings are right, so nothing can be
    written.
    """
    with _building:  # else two first uploads would build two
        return _build()


_building = threading.Lock()


@functools.cache
def _build() -> Job:
    return build(os.environ, SystemClock())


def build(environ: Mapping[str, str], clock: Clock) -> Job:
    """A Job with the clients that these settings ask for. Misconfigured: the storage settings are wrong."""
    storage = Storage.connect(StorageSettings.read(environ))
    try:
        settings = Settings.read(environ)
        work = Transcriber(settings, SpeechClient(settings.speech, clock))
    except Misconfigured as error:
        return Job(storage, error, clock)
    return Job(storage, work, clock)
