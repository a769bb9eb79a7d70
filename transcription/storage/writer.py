"""Writes an upload's answers to its journal, as many at a time as have come in."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from azure.core.exceptions import AzureError, ResourceModifiedError

from transcription.errors import ClaimLost
from transcription.storage.account import reason
from transcription.storage.answered import Answers, read_lines
from transcription.storage.claims import Claim
from transcription.storage.journal import TRIES, Journal

log = logging.getLogger(__name__)


class Writer:
    """The one writer of a journal while a claim lasts. Thread-safe.

    The SDK's errors pass through. What could not be written stays pending. Every method but `end` raises ClaimLost if
    another worker has the claim, or if the blob is gone.
    """

    def __init__(self, journal: Journal, claim: Claim, answers: Answers, name: str) -> None:
        self._journal = journal
        self._claim = claim
        self._answers = answers
        self._name = name
        self._header = b""  # the first line, once the journal is begun
        self._anew = False  # the service has answered since the attempts were counted
        self._ended = False
        self._lock = threading.RLock()  # guards the journal

    def begin(self, header: bytes) -> None:
        """Read the answers of earlier workers, then write the others, and each new one from now on.

        Answers below another header are removed.
        """
        with self._lock:
            if self._header == header:
                return
            content = self._claim.under(self._journal.load)
            if self._journal.size and not content.startswith(header):
                self._in_known_state(self._journal.clear)
                content = b""
            self._answers.merge(read_lines(content))
            begun, self._header = bool(self._header), header
            if not begun:
                threading.Thread(target=self._write_news, name="write progress", daemon=True).start()
            self.flush()

    def flush(self) -> None:
        """Write what is pending, if the journal is begun. A new answer resets the attempts."""
        with self._lock:
            if self._ended or not self._header:
                return
            while self._answers.pending:
                self._in_known_state(self._append)
            if self._anew and self._journal.attempts:
                self._in_known_state(partial(self._journal.set_attempts, 0))
            self._anew = False

    def set_attempts(self, count: int) -> None:
        with self._lock:
            self._in_known_state(partial(self._journal.set_attempts, count))
            self._anew = False

    def end(self) -> None:
        """Write nothing from now on. Waits for a write under way."""
        with self._lock:
            self._ended = True
        self._answers.wake()

    def _write_news(self) -> None:
        """Write each new answer. After a failure of storage, what is pending is written with the next answer."""
        while self._answers.wait(lambda: self._ended or self._claim.lost):
            try:
                self.flush()
            except ClaimLost:
                return  # the thread that renews the claim reports it
            except AzureError as error:
                log.warning("%r: its progress could not be written (%s). It stays pending.", self._name, reason(error))

    def _append(self) -> None:
        if self._journal.full:
            self._answers.fill()
        if batch := self._answers.batch():
            lines = b"".join(batch.values())
            self._journal.append(lines if self._journal.size else self._header + lines)
            self._answers.written(batch)
            self._anew = True

    def _in_known_state(self, write: Callable[[], None]) -> None:
        """Call a conditional write. If the blob is in another state, find out which, and call it again."""
        for left in reversed(range(TRIES)):
            try:
                write()
            except ResourceModifiedError:
                if not left:
                    raise
                self._catch_up()
            else:
                return

    def _catch_up(self) -> None:
        """Read what the blob holds now. If it was begun again with another header, the claim is lost."""
        self._claim.under(self._journal.look)
        if self._header:
            content = self._claim.under(self._journal.load)
            if self._journal.size and not content.startswith(self._header):
                raise self._claim.lose()
            self._answers.merge(read_lines(content))
