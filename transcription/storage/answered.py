"""The answered requests of one upload, in memory."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping

from transcription.storage.journal import MAX_APPEND, MAX_BYTES
from transcription.transcript.answered import Answered, Key, encode_line

MAX_ANSWERS = 50_000  # read from one blob; a day of speech has a third of that

MAX_LINE = MAX_APPEND - 64 * 1024  # bytes; leaves room for the header, which may come first

log = logging.getLogger(__name__)


class Answers:
    """The answered requests of one upload, and the lines of those that are not written yet. Thread-safe."""

    def __init__(self, name: str) -> None:
        self.full = False  # no more are kept
        self._name = name
        self._changed = threading.Condition()
        self._answers: dict[Key, Answered] = {}
        self._pending: dict[Key, bytes] = {}
        self._bytes = 0  # of all lines
        self._news = False

    @property
    def pending(self) -> bool:
        return bool(self._pending)

    def find(self, key: Key) -> Answered | None:
        with self._changed:
            return self._answers.get(key)

    def add(self, answered: Answered) -> None:
        """Remember the answer, unless its request has one."""
        line = answered.line()
        with self._changed:
            if self.full or answered.key in self._answers:
                return
            if len(line) > MAX_LINE:
                log.warning("%r: an answer of %d bytes is too long to be kept", self._name, len(answered.body))
                return
            if self._bytes + len(line) > MAX_BYTES:
                self.fill()
                return
            self._answers[answered.key] = answered
            self._pending[answered.key] = line
            self._bytes += len(line)
            self._news = True
            self._changed.notify_all()

    def merge(self, stored: Mapping[Key, Answered]) -> None:
        """Take over the answers that are stored. All others are pending."""
        with self._changed:
            self._answers = {**stored, **self._answers}
            lines = {key: answered.line() for key, answered in self._answers.items()}
            self._bytes = sum(map(len, lines.values()))
            self._pending = {key: line for key, line in lines.items() if key not in stored}

    def batch(self) -> dict[Key, bytes]:
        """Return the lines to write next, the oldest first: as many as one append takes."""
        batch, size = {}, 0
        with self._changed:
            for key, line in self._pending.items():
                size += len(line)
                if size > MAX_LINE:
                    break
                batch[key] = line
        return batch

    def written(self, batch: Mapping[Key, bytes]) -> None:
        """Note that these lines are stored."""
        with self._changed:
            for key in batch:
                self._pending.pop(key, None)

    def fill(self) -> None:
        """Keep no more answers, and give up those that are not written."""
        log.warning("%r: its progress is full. Further answers are not kept.", self._name)
        with self._changed:
            self.full = True
            self._pending.clear()

    def wait(self, ended: Callable[[], bool]) -> bool:
        """Wait for an answer that was added since the last call. Returns False once `ended`."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or ended())
            self._news = False
            return not ended()

    def wake(self) -> None:
        """Let `wait` look again."""
        with self._changed:
            self._changed.notify_all()


def header_line(name: str, etag: str, fingerprint: str) -> bytes:
    """Return the first line of a blob. It is always the same for the same upload and fingerprint."""
    return encode_line({"upload": name, "etag": etag, "fingerprint": fingerprint})


def read_lines(content: bytes) -> dict[Key, Answered]:
    """Return the answered requests. Of repeated lines, the first counts."""
    answers: dict[Key, Answered] = {}
    for line in _split(content):
        answered = Answered.of_line(line)
        if answered:
            answers.setdefault(answered.key, answered)
        if len(answers) == MAX_ANSWERS:
            break
    return answers


def _split(content: bytes) -> Iterator[bytes]:
    """Yield the lines one at a time, because all of them together would take the memory twice."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end]
        start = end + 1
