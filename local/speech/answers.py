"""The service's answers: words in, JSON out.

Shapes and statuses are from the service's documentation. Its users report that it stops at the first pause of about a
second, and after leading silence. Confidence is a constant, because pocketsphinx's own means nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from local.speech.assessment import Assessment
from local.speech.behaviour import Behaviour
from local.speech.recognizer import Word, has_sound
from transcription.audio.pcm import BYTES_PER_SECOND

TICKS_PER_SECOND = 10_000_000
SEGMENTATION = "SpeechContext-phraseDetection.conversation.segmentation.segmentationSilenceTimeoutMs"
CONFIDENCE = 0.9
JSON_TYPE = "application/json; charset=utf-8"
PROFANITIES = frozenset({"arse", "ass", "asshole", "bastard", "bitch", "crap", "damn", "fuck", "fucking", "shit"})


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. The connection adds the headers that frame it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def document(cls, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> "Answer":
        """Return an answer with a JSON document."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


@dataclass(frozen=True)
class Style:
    """The form of a recognition's answer, as its query and the endpoint's options ask for it."""

    detailed: bool
    profanity: str
    word_times: bool
    ticks_as_strings: bool
    assessment: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], behaviour: Behaviour, assessment: Mapping[str, Any] | None = None) -> "Style":
        wants_detailed = query.get("format") == "detailed"
        detailed = behaviour.detailed == "obeyed" if wants_detailed else behaviour.simple != "obeyed"
        wants_times = query.get("wordLevelTimestamps", "").lower() == "true"
        word_times = detailed and wants_times and behaviour.word_times == "given"
        scored = assessment if behaviour.assessment == "scored" else None
        return cls(detailed, query.get("profanity", "masked"), word_times, behaviour.ticks == "strings", scored)

    def times(self, start: float, duration: float) -> dict[str, int | str]:
        """Return both times, given in seconds, as the fields of an answer."""
        ticks = {"Offset": round(start * TICKS_PER_SECOND), "Duration": round(duration * TICKS_PER_SECOND)}
        return {name: str(value) for name, value in ticks.items()} if self.ticks_as_strings else dict(ticks)


def up_to_pause(words: Sequence[Word], pause_seconds: float) -> list[Word]:
    """Return the words before the first pause. The service leaves out what follows, and still says Success."""
    for count, (word, following) in enumerate(pairwise(words), start=1):
        if following.start - word.end >= pause_seconds:
            return list(words[:count])
    return list(words)


def recognition(
    pcm: bytes, words: Sequence[Word], style: Style, behaviour: Behaviour, pause_seconds: float
) -> dict[str, Any]:
    """Return the service's answer to a clip (16 kHz mono s16le) with these words, in order."""
    seconds, patience = len(pcm) / BYTES_PER_SECOND, behaviour.initial_silence_seconds
    if words and words[0].start > patience:
        return _nothing(behaviour.silence, style, patience, 0.0)
    if words:
        return _success(up_to_pause(words, pause_seconds), style)
    if has_sound(pcm):
        return _nothing(behaviour.wordless, style, 0.0, seconds)
    return _nothing(behaviour.silence, style, min(seconds, patience), 0.0)


def pause_of(query: Mapping[str, str], behaviour: Behaviour) -> float:
    """Return the pause that ends recognition. The query may ask for another one."""
    asked = query.get(SEGMENTATION, "")
    return float(asked) / 1000 if behaviour.segmentation == "obeyed" and asked.isdecimal() else behaviour.pause_seconds


def _nothing(status: str, style: Style, start: float, duration: float) -> dict[str, Any]:
    return {"RecognitionStatus": status, **style.times(start, duration)}


def _success(words: Sequence[Word], style: Style) -> dict[str, Any]:
    lexical = " ".join(word.text for word in words)
    masked = _without_profanity(lexical, style.profanity)
    display = _sentence(masked)
    start = words[0].start
    answer = {
        "RecognitionStatus": "Success",
        **style.times(start, words[-1].end - start),
        "DisplayText": display,
    }
    if not style.detailed:
        return answer
    best: dict[str, Any] = {"Confidence": CONFIDENCE, "Lexical": lexical, "ITN": lexical, "MaskedITN": masked}
    best["Display"] = display
    if style.word_times:
        best["Words"] = [{"Word": word.text, **style.times(word.start, word.duration)} for word in words]
    if style.assessment is not None:
        best |= _assessed(Assessment(words, style.assessment), style)
    return {**answer, "NBest": [best]}


def _assessed(assessment: Assessment, style: Style) -> dict[str, Any]:
    """Return the scores. Like the service, add the words even if the query asks for no word times."""
    if not assessment.has_words:
        return {**assessment.overall()}
    words = [
        {"Word": text, **scores, **(style.times(word.start, word.duration) if word else {})}
        for text, word, scores in assessment.words()
    ]
    return {**assessment.overall(), "Words": words}


def _without_profanity(text: str, profanity: str) -> str:
    if profanity == "raw":
        return text
    mask = "*" if profanity == "masked" else ""
    words = (mask * len(word) if _is_profane(word) else word for word in text.split())
    return " ".join(filter(None, words))


def _is_profane(word: str) -> bool:
    return re.sub(r"\W", "", word).lower() in PROFANITIES


def _sentence(text: str) -> str:
    text = re.sub(r"\bi\b", "I", text)
    if not text or text[-1] in ".!?":
        return text
    return text[0].upper() + text[1:] + "."
