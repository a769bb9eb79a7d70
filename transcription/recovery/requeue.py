"""Puts an upload on the queue `transcription-again`, so that another invocation goes on with it.

Each reason has its waits. Where none is left, nothing is queued: the sweep finds the upload later.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import replace

from azure.core.exceptions import AzureError

from transcription.errors import Claimed, Exhausted, StorageFailed
from transcription.storage.account import reason
from transcription.storage.progress import wait_after_attempts
from transcription.storage.queues import AgainMessage, AgainQueue

CLAIMED_WAIT = 120.0  # seconds; the worker that has the upload may be dead, and its claim ends within a minute
UNWRITTEN_WAITS = (60.0, 300.0, 900.0)  # seconds between tries to write a document
LONGEST_WAIT = 6 * 3600.0  # seconds, of a message; the sweep takes care of longer waits

log = logging.getLogger(__name__)


class Requeue:
    """The reasons to go on with an upload in another invocation."""

    def __init__(self, queue: AgainQueue) -> None:
        self._queue = queue

    def claimed(self, message: AgainMessage) -> None:
        """Look again when the claim of the worker that has the upload may be over."""
        self._send(message, "claimed", CLAIMED_WAIT)

    def out_of_time(self, message: AgainMessage, error: Exhausted) -> None:
        """Go on when the service asked to come back, or at once."""
        self._send(replace(message, reset=False), "time", min(error.wait, LONGEST_WAIT))

    def unanswered(self, message: AgainMessage, attempts: int, error: Exhausted) -> None:
        """Try again after a time without any answer from the service, but not before it asked to come back."""
        self._send(replace(message, reset=False), "unanswered", max(error.wait, wait_after_attempts(attempts)))

    def unwritten(self, message: AgainMessage, error: AzureError | StorageFailed, keep: Callable[[], None]) -> None:
        """Write the document later, because of this error. `keep` keeps the answers until then.

        Raises the error if the answers cannot be kept and nothing can be queued.
        """
        kept = _succeeds(keep)
        waits = (*UNWRITTEN_WAITS, 2 * LONGEST_WAIT)
        wait = waits[min(message.unwritten, len(UNWRITTEN_WAITS))]
        later = replace(message, unwritten=message.unwritten + 1)
        queued = _succeeds(lambda: self._send(later, "unwritten", wait))
        if not (kept or queued):
            raise error
        log.error("%r: the transcript could not be written and will be later: %s", message.name, _why(error))

    def _send(self, message: AgainMessage, reason: str, seconds: float) -> None:
        line = {"event": "requeued", "name": message.name, "reason": reason, "seconds": round(seconds)}
        if seconds <= LONGEST_WAIT:
            log.info(json.dumps(line))
            self._queue.send(message, seconds)
        else:
            log.info(json.dumps({**line, "by": "sweep"}))


def _succeeds(step: Callable[[], None]) -> bool:
    """Tell whether the step succeeds. Another worker that has the upload is success: it will write the document."""
    try:
        step()
    except Claimed:
        return True
    except (AzureError, StorageFailed) as error:
        log.error("Storage failed: %s", _why(error))
        return False
    return True


def _why(error: AzureError | StorageFailed) -> str:
    return reason(error) if isinstance(error, AzureError) else str(error)
