"""The document: what was said and when, what is missing, and how it came about.

`transcript.schema.json` beside this file describes the same to others; the tests hold every document against it.
Times are seconds as floats, on the recording's clock once a phrase has been `moved` by its clip's start.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from transcription import locales
from transcription.errors import TranscriptionError

Json = dict[str, Any]

SUCCEEDED, PARTIAL, NO_SPEECH, FAILED = "Succeeded", "Partial", "NoSpeech", "Failed"


@dataclass(frozen=True)
class Word:
    text: str
    offset: float
    duration: float

    @property
    def end(self) -> float:
        return self.offset + self.duration

    def within(self, end: float) -> "Word":
        """The same word, said not to last beyond `end`."""
        offset = min(self.offset, end)
        return replace(self, offset=offset, duration=min(self.duration, end - offset))


@dataclass(frozen=True)
class Alternative:
    """What else may have been said, in the service's order; not what it chose."""

    text: str
    confidence: float | None = None


@dataclass(frozen=True)
class Phrase:
    """One answer's words. Everything but text and times comes only with the `detailed` format."""

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

    def within(self, start: float, end: float) -> "Phrase":
        """The same phrase, said not to begin before `start` nor to last beyond `end`."""
        offset = max(self.offset, start)
        return replace(self, offset=offset, duration=max(0.0, min(self.end, end) - offset))

    def moved(self, seconds: float) -> "Phrase":
        """The same phrase on a clock that started `seconds` earlier."""
        words = tuple(replace(word, offset=word.offset + seconds) for word in self.words)
        pronunciation = _moved(self.pronunciation, seconds)
        return replace(self, offset=self.offset + seconds, words=words, pronunciation=pronunciation)


@dataclass(frozen=True)
class Gap:
    """A stretch of speech without words, and why."""

    offset: float
    duration: float
    reason: str


@dataclass(frozen=True)
class Source:
    """The upload a document belongs to. `etag` has no quotes."""

    container: str
    name: str
    etag: str
    size: int
    format: str | None = None


@dataclass(eq=False)  # one per recording: its identity is what the gate goes by
class Ledger:
    """What one recording asked of the service, kept by all threads that work on it. Support asks for the connection
    ids.
    """

    endpoint: str = ""
    answers: int = 0
    audio_seconds: float = 0.0
    connection_ids: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def requests(self) -> int:
        return len(self.connection_ids)

    def sent(self, connection_id: str, audio_seconds: float) -> None:
        with self._lock:
            self.connection_ids.append(connection_id)
            self.audio_seconds += audio_seconds

    def answered(self) -> None:
        with self._lock:
            self.answers += 1


@dataclass(frozen=True)
class Transcript:
    """What became of a recording's audio: phrases in order, without overlap.

    `error` is there where gaps may be mended by another try.
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


def document(transcript: Transcript, source: Source, ledger: Ledger, created: datetime) -> Json:
    """The document of a recording that was transcribed, however much of it."""
    separator = locales.word_separator(transcript.language)
    content = {
        "status": transcript.status,
        "text": separator.join(phrase.text for phrase in transcript.phrases),
        "language": transcript.language,
        "durationSeconds": _seconds(transcript.duration),
        "phrases": [_phrase(phrase) for phrase in transcript.phrases],
        "gaps": [
            {"offsetSeconds": _seconds(gap.offset), "durationSeconds": _seconds(gap.duration), "reason": gap.reason}
            for gap in transcript.gaps
        ],
        "error": _error(transcript.error) if transcript.error else None,
        "source": _source(source),
        "recognition": _recognition(ledger),
        "createdAt": _timestamp(created),
    }
    return _without_none(content)


def failure(error: TranscriptionError, source: Source, ledger: Ledger, created: datetime) -> Json:
    """The document of a recording without a transcript: what is wrong and what to do."""
    return _without_none(
        {
            "status": FAILED,
            "text": "",
            "phrases": [],
            "gaps": [],
            "error": _error(error),
            "source": _source(source),
            "recognition": _recognition(ledger) if ledger.requests else None,
            "createdAt": _timestamp(created),
        }
    )


def missing_seconds(document: Json) -> float:
    """How long a document's gaps last in all."""
    return float(sum(gap["durationSeconds"] for gap in document["gaps"]))


def _error(error: TranscriptionError) -> Json:
    return {"code": error.code, "message": str(error), "tryAgain": error.try_again}


def _phrase(phrase: Phrase) -> Json:
    return _without_none(
        {
            "offsetSeconds": _seconds(phrase.offset),
            "durationSeconds": _seconds(phrase.duration),
            "text": phrase.text,
            "confidence": phrase.confidence,
            "lexical": phrase.lexical,
            "itn": phrase.itn,
            "maskedItn": phrase.masked_itn,
            "alternatives": [
                _without_none({"text": other.text, "confidence": other.confidence}) for other in phrase.alternatives
            ]
            or None,
            "words": _words(phrase.words) or None,
            "pronunciation": phrase.pronunciation,
        }
    )


def _moved(scores: Any, seconds: float) -> Any:
    """Words, syllables and phonemes of an assessment have times, at every depth."""
    if isinstance(scores, list):
        return [_moved(part, seconds) for part in scores]
    if isinstance(scores, dict):
        moved = {key: _moved(part, seconds) for key, part in scores.items()}
        return moved | {key: _seconds(moved[key] + seconds) for key in ("offsetSeconds",) if key in moved}
    return scores


def _words(words: Sequence[Word]) -> list[Json]:
    return [
        {"word": word.text, "offsetSeconds": _seconds(word.offset), "durationSeconds": _seconds(word.duration)}
        for word in words
    ]


def _source(source: Source) -> Json:
    return _without_none(
        {
            "container": source.container,
            "name": source.name,
            "etag": source.etag,
            "sizeBytes": source.size,
            "format": source.format,
        }
    )


def _recognition(ledger: Ledger) -> Json:
    return {
        "requests": ledger.requests,
        "audioSecondsSent": _seconds(ledger.audio_seconds),
        "connectionIds": list(ledger.connection_ids),
        "endpoint": ledger.endpoint,
    }


def _without_none(values: Json) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _seconds(value: float) -> float:
    """Milliseconds are finer than any recogniser's clock, and keep 0.1 + 0.2 out of the document."""
    return round(value, 3)


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
