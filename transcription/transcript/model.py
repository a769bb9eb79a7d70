"""The parts of a transcript: words, phrases and gaps, and the requests that a recording took.

Times are in seconds. A phrase counts them from the start of its clip until it is `shifted` to the recording's clock.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transcription.errors import TranscriptionError

Json = dict[str, Any]

SUCCEEDED, PARTIAL, NO_SPEECH, FAILED = "Succeeded", "Partial", "NoSpeech", "Failed"


@dataclass(frozen=True)
class Word:
    """One spoken word with its time."""

    text: str
    offset: float
    duration: float

    @property
    def end(self) -> float:
        return self.offset + self.duration

    def clamped(self, end: float) -> "Word":
        """Return the same word, ending no later than `end`."""
        offset = min(self.offset, end)
        return replace(self, offset=offset, duration=min(self.duration, end - offset))


@dataclass(frozen=True)
class Alternative:
    """A reading of a phrase that the service did not choose."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True)
class Phrase:
    """The words of one answer. Only the `detailed` format has more than text and times.

    `alternatives` are in the service's order.
    """

    offset: float
    duration: float
    text: str
    confidence: float | None = None
    lexical: str | None = None
    itn: str | None = None
    masked_itn: str | None = None
    alternatives: tuple[Alternative, ...] = ()
    words: tuple[Word, ...] = ()
    pronunciation: Json | None = None

    @property
    def end(self) -> float:
        return self.offset + self.duration

    def clamped(self, start: float, end: float) -> "Phrase":
        """Return the same phrase, starting no earlier than `start` and ending no later than `end`."""
        offset = max(self.offset, start)
        return replace(self, offset=offset, duration=max(0.0, min(self.end, end) - offset))

    def shifted(self, seconds: float) -> "Phrase":
        """Return the same phrase, `seconds` later."""
        words = tuple(replace(word, offset=word.offset + seconds) for word in self.words)
        pronunciation = _shifted(self.pronunciation, seconds)
        return replace(self, offset=self.offset + seconds, words=words, pronunciation=pronunciation)


@dataclass(frozen=True)
class Gap:
    """A stretch of speech without words, and the reason."""

    offset: float
    duration: float
    reason: str


@dataclass(frozen=True)
class Source:
    """The upload that a document belongs to. `etag` has no quotes; `size` is in bytes."""

    container: str
    name: str
    etag: str
    size: int
    format: str | None = None


@dataclass
class Usage:
    """The requests that one recording took, counted by all threads that work on it.

    `audio_seconds` is the audio of answered requests: what the service bills. Microsoft's support asks for the
    connection ids. `limit` is how many requests the process had room for when this recording sent its last one.
    """

    endpoint: str = ""
    answers: int = 0
    audio_seconds: float = 0.0
    earlier_answers: int = 0
    connection_ids: list[str] = field(default_factory=list)
    limit: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def requests(self) -> int:
        return len(self.connection_ids)

    @property
    def new_answers(self) -> int:
        """Return the number of answers that this invocation got."""
        return self.answers - self.earlier_answers

    @property
    def retries(self) -> int:
        """Return the number of requests that were refused or failed."""
        return self.requests - self.answers

    def sent(self, connection_id: str, limit: int | None = None) -> None:
        """Count a request that is about to be sent, while so many may be in flight."""
        with self._lock:
            self.connection_ids.append(connection_id)
            self.limit = limit

    def answered(self, audio_seconds: float) -> None:
        """Count an answer to a request with that much audio."""
        with self._lock:
            self.answers += 1
            self.audio_seconds += audio_seconds

    def repeated(self, connection_ids: Sequence[str], audio_seconds: float) -> None:
        """Count a request that was answered in an earlier invocation, with all its tries."""
        with self._lock:
            self.connection_ids.extend(connection_ids)
            self.earlier_answers += 1
        self.answered(audio_seconds)


@dataclass(frozen=True)
class Transcript:
    """The words of a recording: phrases in order, without overlap.

    `error` is set if another try may fill the gaps.
    """

    language: str
    duration: float
    phrases: tuple[Phrase, ...]
    gaps: tuple[Gap, ...] = ()
    error: TranscriptionError | None = None

    @property
    def status(self) -> str:
        if self.gaps:
            return PARTIAL
        return SUCCEEDED if self.phrases else NO_SPEECH


def rounded(seconds: float) -> float:
    """Return `seconds` to the millisecond. That is finer than any recogniser's clock, and makes 0.1 + 0.2 equal 0.3."""
    return round(seconds, 3)


def _shifted(scores: Any, seconds: float) -> Any:
    """Return an assessment's scores, `seconds` later. Words, syllables and phonemes have times at every depth."""
    if isinstance(scores, list):
        return [_shifted(part, seconds) for part in scores]
    if isinstance(scores, dict):
        shifted = {key: _shifted(part, seconds) for key, part in scores.items()}
        return shifted | {key: rounded(shifted[key] + seconds) for key in ("offsetSeconds",) if key in shifted}
    return scores
