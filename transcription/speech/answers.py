"""Parses the service's JSON into an `Answer`.

Nothing in the JSON is trusted. An answer that was cut off, or that is something else altogether, is a retryable error
and never an empty transcript. Sources: the API's reference ("Sample responses"), and what users report: times as
strings, no `DisplayText` in detailed answers, `Success` without words.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transcription.errors import Retryable
from transcription.transcript.model import Alternative, Json, Phrase, Word

TICKS = 10_000_000  # per second; `Offset` and `Duration` count units of 100 ns

SUCCESS = "Success"
NO_MATCH = "NoMatch"  # speech, but no words of the language
INITIAL_SILENCE = "InitialSilenceTimeout"
BABBLE = "BabbleTimeout"  # only noise
ERROR = "Error"  # internal

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
    """The service's answer to one clip. Times are seconds from the clip's start.

    `phrase` is None if there are no words. `covered` is the end of the audio that the answer accounts for.
    """

    status: str
    phrase: Phrase | None
    covered: float

    def clamped(self, seconds: float) -> "Answer":
        """Return the same answer with all times within a clip of `seconds`.

        Text without a duration lasts until its last word ends, or until the clip ends if it has no words.
        """
        phrase, covered = self.phrase, min(self.covered, seconds)
        if phrase:
            words = tuple(word.clamped(seconds) for word in phrase.words)
            if phrase.duration == 0:
                covered = words[-1].end if words else seconds
                phrase = replace(phrase, duration=max(0.0, covered - phrase.offset))
            phrase = replace(phrase, offset=min(phrase.offset, seconds), words=words).clamped(0.0, seconds)
        return Answer(self.status, phrase, covered)


def parse(body: bytes) -> Answer:
    """Return the answer in this JSON.

    Raises Retryable if it is not an answer, or says that the service failed.
    """
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
    if status == ERROR:
        raise Retryable("the service answered that it failed (RecognitionStatus Error)")
    raise Retryable("the service answered with an unknown RecognitionStatus")  # not quoted: it may repeat the key


def _phrase(answer: Json, offset: float, duration: float) -> Phrase | None:
    """Return the phrase, or None if there are no words.

    The first entry of NBest is the service's choice, even if another one has a higher confidence.
    """
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
    """Return the scores of an assessment in the document's shape, or None if there was no assessment."""
    overall = _scores(best)
    scored = [_scored_word(word) for word in words if _scores(word) or _assessed(word).get("ErrorType")]
    return {**overall, **({"words": scored} if scored else {})} or None


def _scored_word(word: Json) -> Json:
    """Return one word with its scores, syllables and phonemes, as far as the service sends them.

    Omitted words have no times.
    """
    scored = {"word": _text(word, "Word") or "", **_scores(word), **_times(word)}
    if error := _text(_assessed(word), "ErrorType"):
        scored["errorType"] = error
    if syllables := word.get("Syllables"):
        scored["syllables"] = [_named(part, "Syllable", "Grapheme") for part in syllables]
    if phonemes := word.get("Phonemes"):
        scored["phonemes"] = [_scored_phoneme(part) for part in phonemes]
    return scored


def _scored_phoneme(phoneme: Json) -> Json:
    """Return one phoneme with its scores and, if they were requested, the phonemes that it sounded like."""
    candidates = _assessed(phoneme).get("NBestPhonemes") or ()
    scored = [{"phoneme": _text(other, "Phoneme"), "score": _number(other, "Score")} for other in candidates]
    return {**_named(phoneme, "Phoneme"), **({"nBestPhonemes": scored} if scored else {})}


def _named(part: Json, *names: str) -> Json:
    """Return a syllable or phoneme with its scores, times and names. The service names them for some locales only."""
    texts = {name.lower(): text for name in names if (text := _text(part, name))}
    return {**texts, **_scores(part), **_times(part)}


def _scores(part: Json) -> Json:
    assessed = _assessed(part)
    return {key: _number(assessed, name) for name, key in SCORES.items() if assessed.get(name) is not None}


def _assessed(part: Json) -> Json:
    """Return `part` with its scores as direct members.

    The REST API has them there already. The Speech SDK's JSON has them in an object of their own.
    """
    return {**part, **(part.get("PronunciationAssessment") or {})}


def _times(part: Json) -> Json:
    duration = _seconds(part, "Duration")
    return {"offsetSeconds": _seconds(part, "Offset"), "durationSeconds": duration} if duration > 0 else {}


def _seconds(values: Mapping[str, Any], name: str) -> float:
    return max(0.0, _number(values, name)) / TICKS if values.get(name) else 0.0


def _number(values: Mapping[str, Any], name: str) -> float:
    """Return a number that the service may have written as a string.

    Raises ValueError if JSON cannot hold it.
    """
    number = float(values[name])
    if not math.isfinite(number):
        raise ValueError(name)
    return number


def _confidence(values: Mapping[str, Any]) -> float | None:
    """Return the confidence, or None if it makes no sense: the words are useful without it."""
    try:
        confidence = _number(values, "Confidence")
    except (ValueError, KeyError, TypeError):
        return None
    return confidence if 0 <= confidence <= 1 else None


def _text(values: Mapping[str, Any], name: str) -> str | None:
    """Return a text without surrounding blanks, or None if there is none.

    JSON can hold half of a surrogate pair, which UTF-8 cannot. It becomes a question mark.
    """
    value = values.get(name)
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else None
