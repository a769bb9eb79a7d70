"""One attempt to turn one upload into one document.

It ends in one of four ways: with a document; on the queue, because time is up; on the queue, because another worker has
the upload or the document could not be written; or with an error of storage, so the host tries again.
"""

import logging
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace

from azure.core.exceptions import AzureError

from transcription.clock import Budget, Clock
from transcription.errors import (
    AbandonedForGood,
    Claimed,
    ClaimLost,
    Exhausted,
    Final,
    Misconfigured,
    StorageFailed,
    TranscriptionError,
    UploadChanged,
)
from transcription.options import check_size, recognition_options
from transcription.recovery.poison import GIVEN_UP
from transcription.recovery.requeue import Requeue
from transcription.speech.turns import Requester
from transcription.storage.account import retry_writing
from transcription.storage.progress import MAX_ATTEMPTS, ProgressStore
from transcription.storage.queues import AgainMessage
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcriber import Transcriber
from transcription.transcript.document import caption_files, document, failure, log_line
from transcription.transcript.model import Json, Source, Usage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tools:
    """The process's parts that every attempt uses. If the settings are wrong, `transcriber` is the error."""

    uploads: Uploads
    transcripts: Transcripts
    progress: ProgressStore
    requeue: Requeue
    transcriber: Transcriber | Misconfigured
    clock: Clock

    @property
    def answers(self) -> int:
        """Return the number of requests that the service has answered in this process."""
        return 0 if isinstance(self.transcriber, Misconfigured) else self.transcriber.speech.dispatcher.answers


@dataclass(frozen=True)
class _Outputs:
    """The document and captions of one upload. `error` is set if the uploader cannot fix it."""

    document: Json
    captions: Mapping[str, str] = field(default_factory=dict)
    error: TranscriptionError | None = None


class Attempt:
    """One attempt. `message` is what the queue says, or would say, about the upload.

    `resumed` is True if it came from the queue. Then an earlier worker may have left answers.
    """

    def __init__(
        self, tools: Tools, upload: UploadProperties, message: AgainMessage, budget: Budget, *, resumed: bool
    ) -> None:
        self._tools = tools
        self._upload = upload
        self._message = message
        self._budget = budget
        self._resumed = resumed
        self._usage = Usage()
        self._requester = Requester(upload.uploaded, budget)
        self._progress = tools.progress.of(upload)
        self._progress.on_lost = self._stop
        self._fingerprint = ""
        self._source = Source(tools.uploads.container, upload.name, upload.etag, upload.size)

    def run(self) -> None:
        """Write the upload's document, unless a finished one exists, or leave the rest to another invocation.

        Raises UploadReplaced or UploadGone if the upload is no longer the same.
        Raises StorageFailed or the SDK's error if neither document nor answers can be written.
        """
        existing = self._tools.transcripts.find(self._upload.name)
        if self._upload.is_folder_marker or self._is_finished(existing):
            return  # a duplicate event ends here and costs nothing
        answers = self._tools.answers
        try:
            try:
                self._write(self._outputs(), existing)
            except Exhausted as error:
                self._continue_later(error, existing, answered=self._tools.answers > answers)
        except Claimed as error:
            log.info("%r: this worker stops: %s", self._upload.name, error)
            self._tools.requeue.claimed(self._message)
        except UploadChanged:
            self._progress.delete()
            raise
        except (AzureError, StorageFailed):
            self._uncount_attempt()
            raise
        finally:
            self._progress.release()

    def _is_finished(self, stored: StoredDocument) -> bool:
        return stored.finishes(self._upload) and not self._may_replace(stored)

    def _may_replace(self, stored: StoredDocument) -> bool:
        """Tell whether the document only says that the app gave up, and redrive asks for another try."""
        return self._message.reset and stored.abandoned

    def _outputs(self) -> _Outputs:
        upload = self._upload
        try:
            if self._resumed:
                self._count_attempt()
            transcriber = self._tools.transcriber
            if isinstance(transcriber, Misconfigured):
                raise Misconfigured(str(transcriber))
            settings = transcriber.settings
            check_size(upload, settings.limits)
            options = recognition_options(upload, settings.speech)
            self._fingerprint = transcriber.fingerprint(options)
            if self._resumed:
                self._keep_progress()
            file = self._tools.uploads.open(upload)
            with closing(transcriber.open(file, upload.size, self._requester)) as recording:
                self._source = replace(self._source, format=recording.format)
                transcript = transcriber.transcribe(
                    recording, options, self._usage, self._requester, self._progress, self._keep_progress
                )
        except (Final, Misconfigured) as error:
            return self._failed(error)
        content = document(transcript, self._source, self._usage, self._tools.clock.now())
        return _Outputs(content, caption_files(transcript, settings.document_formats), transcript.error)

    def _failed(self, error: TranscriptionError) -> _Outputs:
        content = failure(error, self._source, self._usage, self._tools.clock.now())
        return _Outputs(content, error=None if isinstance(error, Final) else error)

    def _count_attempt(self) -> None:
        """Claim the upload and count this attempt. An answer resets the count.

        Raises AbandonedForGood if there were enough attempts without any answer.
        """
        self._claim()
        attempts = 0 if self._message.reset else self._progress.attempts
        if attempts >= MAX_ATTEMPTS:
            raise AbandonedForGood(GIVEN_UP)
        self._progress.set_attempts(attempts + 1)
        self._requester.last_try = attempts + 1 == MAX_ATTEMPTS

    def _uncount_attempt(self) -> None:
        """Take the attempt back, because storage failed. That is no failure of this upload."""
        if self._resumed and self._progress.claimed and self._progress.attempts:
            with suppress(AzureError, Claimed):
                self._progress.set_attempts(self._progress.attempts - 1)

    def _keep_progress(self) -> None:
        """Claim the upload, unless that is done. Read the answers of earlier workers, and write down new ones.

        Raises Claimed if another worker has the upload.
        """
        if not self._progress.claimed:
            self._claim()
        self._progress.begin(self._fingerprint)

    def _claim(self) -> None:
        """Claim the upload. Raises Claimed if another worker has it, or has just finished it."""
        self._progress.claim()
        if self._is_finished(self._tools.transcripts.find(self._upload.name)):
            self._progress.delete()
            raise ClaimLost("another worker has finished the upload")

    def _stop(self) -> None:
        self._requester.stop(ClaimLost("another worker has taken the upload over"))
        if not isinstance(self._tools.transcriber, Misconfigured):
            self._tools.transcriber.speech.dispatcher.wake()

    def _write(self, outputs: _Outputs, existing: StoredDocument) -> bool:
        """Write the outputs and return True. If that fails, keep the answers, queue the upload and return False."""
        try:
            self._progress.confirm()
            self._publish(outputs, existing)
        except (AzureError, StorageFailed) as error:
            self._tools.requeue.unwritten(self._message, error, self._secure_progress)
            self._uncount_attempt()
            return False
        log.info(log_line(outputs.document, self._usage, self._budget.seconds - self._budget.left()))
        if outputs.error:
            log.error("%r: %s", self._upload.name, outputs.error)
        if not outputs.error:
            self._progress.delete()
        elif isinstance(outputs.error, Misconfigured) and self._progress.attempts > MAX_ATTEMPTS - 2:
            self._progress.set_attempts(MAX_ATTEMPTS - 2)  # not the upload's fault: its last attempt is never used up
        return True

    def _publish(self, outputs: _Outputs, existing: StoredDocument) -> None:
        """Write the outputs, with retries, unless the stored document is preferable.

        Raises UploadReplaced or UploadGone if this content of the upload no longer exists.
        """
        new, captions, upload = outputs.document, outputs.captions, self._upload

        def should_keep(stored: StoredDocument) -> bool:
            return not self._may_replace(stored) and stored.is_preferable(new, captions, upload)

        def publish() -> bool:
            return self._tools.transcripts.publish(self._tools.uploads, upload, new, captions, existing, should_keep)

        retry_writing(publish, self._tools.clock, upload.name)

    def _secure_progress(self) -> None:
        """Keep the answers for the next worker, also those of a short recording."""
        if not self._progress.claimed:
            self._progress.claim()
        if self._fingerprint:
            self._progress.begin(self._fingerprint)
        self._progress.confirm()

    def _continue_later(self, error: Exhausted, existing: StoredDocument, *, answered: bool) -> None:
        """Queue the upload, because its time is up. `answered` tells whether the service answered anybody meanwhile.

        If not, a document says why there is no transcript yet.
        """
        if self._usage.answers:
            self._secure_progress()
        outlasts = error.wait >= self._budget.seconds  # then the service refused at once, and said until when
        fails_by_itself = self._requester.failed and not self._usage.new_answers
        if outlasts or (answered and not fails_by_itself):
            if self._resumed:
                self._progress.set_attempts(0)  # it had no turn, or not enough time: that is no failure
            self._progress.release()  # before another worker gets the message
            self._tools.requeue.out_of_time(self._message, error)
        elif answered or self._write(self._failed(error), existing):
            if self._resumed:
                self._progress.set_attempts(self._progress.attempts)  # the wait for the next attempt begins now
            self._tools.requeue.unanswered(self._message, self._progress.attempts, error)
