"""The work of the four functions, for the whole process.

Events, queue messages and the timer lead to the same attempt at an upload: see `attempt.py`.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Mapping

from transcription.attempt import Attempt, Tools
from transcription.audio.decoders import Decoders
from transcription.clock import Budget, Clock, SystemClock
from transcription.errors import Misconfigured, UploadGone, UploadReplaced
from transcription.recovery import poison
from transcription.recovery.requeue import Requeue
from transcription.settings.app import Settings, StorageSettings, SweepSettings
from transcription.speech.client import SpeechClient
from transcription.storage.account import connect, without_addresses
from transcription.storage.progress import ProgressStore
from transcription.storage.queues import AgainMessage, AgainQueue
from transcription.storage.transcripts import Transcripts
from transcription.storage.uploads import UploadProperties, Uploads
from transcription.transcriber import Transcriber

log = logging.getLogger(__name__)

MAX_ROUNDS = 10  # restarts because the upload was replaced; then the host's retries take over


class Job:
    """Transcribes uploads for the whole process. Thread-safe."""

    def __init__(self, tools: Tools, sweep: Callable[[], object]) -> None:
        """`sweep` queues the uploads that need another try."""
        self._tools = tools
        self._sweep = sweep

    @without_addresses()
    def run(self, container: str, name: str) -> None:
        """Write the upload's transcript, unless a finished document already exists.

        What cannot be finished in time goes to the queue `transcription-again`. The host tries again after any error.
        Raises UploadReplaced if the upload is replaced faster than it can be transcribed.
        Raises StorageFailed if storage is down or refuses access.
        """
        if container != self._tools.uploads.container:
            watched = self._tools.uploads.container
            log.warning("Ignored an event for container %r: only %r is watched", container, watched)
            return
        self._attempt(AgainMessage(name), resumed=False)

    @without_addresses()
    def again(self, content: bytes) -> None:
        """Continue with the upload that a message of the queue `transcription-again` names.

        Raises what `run` raises.
        """
        message = AgainMessage.decode(content)
        if message is not None:
            self._attempt(message, resumed=True)

    @without_addresses()
    def abandon(self, message: bytes) -> None:
        """Write the document of an upload that the host gave up on. This needs the storage settings only.

        Raises StorageFailed if storage is down or refuses access.
        """
        name = poison.upload_name(message, self._tools.uploads.container)
        if name is not None:
            tools = self._tools
            write = functools.partial(poison.write_abandoned, tools.uploads, tools.transcripts, tools.clock)
            self._with_current(name, write)

    @without_addresses()
    def sweep(self) -> None:
        """Queue uploads that have no finished document, and that nobody is at work on.

        Raises StorageFailed if storage is down or refuses access.
        """
        self._sweep()

    def _attempt(self, message: AgainMessage, *, resumed: bool) -> None:
        transcriber = self._tools.transcriber
        seconds = 0.0 if isinstance(transcriber, Misconfigured) else transcriber.settings.limits.processing_seconds
        budget = Budget(self._tools.clock, seconds, message.name)

        def attempt(upload: UploadProperties) -> None:
            Attempt(self._tools, upload, message, budget, resumed=resumed).run()

        self._with_current(message.name, attempt)

    def _with_current(self, name: str, work: Callable[[UploadProperties], None]) -> None:
        """Call `work` on the upload. Start over if the upload is replaced while it runs."""
        for _ in range(MAX_ROUNDS):
            try:
                return work(self._tools.uploads.find(name))
            except UploadReplaced:
                log.info("%.200r was replaced during the work; starting over with the new content", name)
            except UploadGone:
                log.info("%.200r is gone: nothing to do", name)
                return None
        raise UploadReplaced(f"{name!r} was replaced {MAX_ROUNDS} times while it was being transcribed")


def build(
    environ: Mapping[str, str], clock: Clock, queue: AgainQueue | None = None, decoders: Decoders | None = None
) -> Job:
    """Build a Job from the app settings. `queue` replaces the queue that the settings name, `decoders` new ones.

    Raises Misconfigured if the storage settings are wrong.
    """
    storage = StorageSettings.read(environ)
    service = connect(storage)
    queue = queue or AgainQueue(storage)
    progress = ProgressStore(service, storage, clock)
    try:
        settings = Settings.read(environ)
        speech = SpeechClient(settings.speech, clock)
        transcriber: Transcriber | Misconfigured = Transcriber(settings, speech, decoders or Decoders())
    except Misconfigured as error:
        transcriber = error
    tools = Tools(
        Uploads(service, storage),
        Transcripts(service, storage),
        progress,
        Requeue(queue),
        transcriber,
        clock,
    )

    def sweep() -> None:
        from transcription.recovery.sweep import sweep  # only the timer needs it, and SQLite

        sweep(service, storage, progress, queue, clock, SweepSettings.read(environ).days)

    return Job(tools, sweep)


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
