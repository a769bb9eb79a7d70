"""The service's JSON → an `Answer`.

Nothing in it is taken on trust: an answer that was cut off, or that is none at all, is an error that may pass, never
an empty transcript. Sources: the API's reference ("Sample responses"), and what users report beside it: times as
strings, no `DisplayText` in detailed answers, `Success` without words.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transcription.errors import Retryable
from transcription.transcript.model import Alternative, Json, Phrase, Word

TICKS = 10_000_000  # per second: `Offset` and `Duration` count 100 ns

SUCCESS = "Success"
NO_MATCH = "NoMatch"  # speech, but no words of that language
INITIAL_SILENCE = "InitialSilenceTimeout"
BABBLE = "BabbleTimeout"  # noise only

OMISSION = "Omission"  # a word of the reference text that was not spoken
SCORES = {
    "PronScore": "pronScore",
    "AccuracyScore": "accuracyScore",
    "FluencyScore": "fluencyScore",
    "CompletenessScore": "completenessScore",
    "ProsodyScore": "prosodyScore",
}


@dataclass(frozen=True)
class Answer:
    """What the service made of one clip. Times are seconds from the clip's start.

    `phrase` is None where there are no words; `covered` is the end of what the service listened to, as far as it says
    so.
    """

    status: str
    phrase: Phrase | None
    covered: float

    def clamped(self, seconds: float) -> "Answer":
        """The same for a clip of that length: nothing in it lies beyond, and text without a duration covers it all."""
        phrase, covered = self.phrase, min(self.covered, seconds)
        if phrase:
            words = tuple(word.clamped(seconds) for word in phrase.words)
            if phrase.duration == 0:
                covered = words[-1].end if words else seconds
                phrase = replace(phrase, duration=max(0.0, covered - phrase.offset))
            phrase = replace(phrase, offset=min(phrase.offset, seconds), words=words).clamped(0.0, seconds)
        return Answer(self.status, phrase, covered)


def parse(body: bytes) -> Answer:
    """Retryable: not an answer, or the service's own failure."""
    try:
        answer = json.loads(body)
        status = str(answer["RecognitionStatus"])
        offset, duration = _seconds(answer, "Offset"), _seconds(answer, "Duration")
        phrase = _phrase(answer, offset, duration)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError):
        raise Retryable(f"the service's answer could not be read ({len(body)} bytes)") from None
    if status == SUCCESS:
        return Answer(status, phrase, offset + duration)
    if status in (NO_MATCH, INITIAL_SILENCE, BABBLE):
        return Answer(status, None, offset + duration)
    raise Retryable(f"the service answered {status!r:.60}")


def _phrase(answer: Json, offset: float, duration: float) -> Phrase | None:
    """The first entry of NBest is the service's choice, whatever confidence the others show."""
    best, *others = answer.get("NBest") or [{}]
    text = _text(answer, "DisplayText") or _text(best, "Display")
    if not text:
        return None
    words = best.get("Words") or ()
    return Phrase(
        offset,
        duration,
        text,
        confidence=_confidence(best),
        lexical=_text(best, "Lexical"),
        itn=_text(best, "ITN"),
        masked_itn=_text(best, "MaskedITN"),
        alternatives=tuple(
            Alternative(other_text, _confidence(other)) for other in others if (other_text := _text(other, "Display"))
        ),
        words=tuple(_word(word) for word in words if _assessed(word).get("ErrorType") != OMISSION),
        pronunciation=_pronunciation(best, words),
    )


def _word(word: Json) -> Word:
    return Word(_text(word, "Word") or "", _seconds(word, "Offset"), _seconds(word, "Duration"))


def _pronunciation(best: Json, words: Sequence[Json]) -> Json | None:
    """The scores of an assessment, in the document's shape; None where none was asked for."""
    overall = _scores(best)
    scored = [_scored_word(word) for word in words if _scores(word) or _assessed(word).get("ErrorType")]
    return {**overall, **({"words": scored} if scored else {})} or None


def _scored_word(word: Json) -> Json:
    """One word with what it was made of, as fine as the service says: omitted words have no times."""
    scored = {"word": _text(word, "Word") or "", **_scores(word), **_times(word)}
    if error := _text(_assessed(word), "ErrorType"):
        scored["errorType"] = error
    if syllables := word.get("Syllables"):
        scored["syllables"] = [_named(part, "Syllable", "Grapheme") for part in syllables]
    if phonemes := word.get("Phonemes"):
        scored["phonemes"] = [_scored_phoneme(part) for part in phonemes]
    return scored


def _scored_phoneme(phoneme: Json) -> Json:
    """Where asked for, with the phonemes that it may have sounded like."""
    alternatives = _assessed(phoneme).get("NBestPhonemes")
    spoken = [{"phoneme": _text(other, "Phoneme"), "score": _number(other, "Score")} for other in alternatives or ()]
    return {**_named(phoneme, "Phoneme"), **({"nBestPhonemes": spoken} if spoken else {})}


def _named(part: Json, *names: str) -> Json:
    named = {name.lower(): text for name in names if (text := _text(part, name))}  # only some locales have names
    return {**named, **_scores(part), **_times(part)}


def _scores(part: Json) -> Json:
    assessed = _assessed(part)
    return {key: _number(assessed, name) for name, key in SCORES.items() if assessed.get(name) is not None}


def _assessed(part: Json) -> Json:
    """The REST API has scores beside the words, the Speech SDK's JSON in an object of their own."""
    return {**part, **(part.get("PronunciationAssessment") or {})}


def _times(part: Json) -> Json:
    duration = _seconds(part, "Duration")
    return {"offsetSeconds": _seconds(part, "Offset"), "durationSeconds": duration} if duration > 0 else {}


def _seconds(values: Mapping[str, Any], name: str) -> float:
    return max(0.0, _number(values, name)) / TICKS if values.get(name) else 0.0


def _number(values: Mapping[str, Any], name: str) -> float:
    """A number, which the service may write as a string. ValueError: one that JSON could not hold."""
    number = float(values[name])
    if not math.isfinite(number):
        raise ValueError(name)
    return number


def _confidence(values: Mapping[str, Any]) -> float | None:
    """What is no confidence is left out: the words are worth having without."""
    try:
        confidence = _number(values, "Confidence")
    except (ValueError, KeyError, TypeError):
        return None
    return confidence if 0 <= confidence <= 1 else None


def _text(values: Mapping[str, Any], name: str) -> str | None:
    """A text that can be written as UTF-8: JSON can hold half of a character."""
    value = values.get(name)
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else None
