"""Scores for a pronunciation assessment, in the service's form.

The comparison of the recognised words with the reference text is real, so clients can be tried from end to end. The
pronunciation itself is not judged: an expected word scores 100, any other by how much its letters resemble the expected
ones. There are no phonemes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from statistics import fmean
from typing import Any

from local.speech.recognizer import Word

FLUENT_PAUSE_SECONDS = 0.3  # shorter pauses between words do not lower the score
POINTS = {"FivePoint": 5.0, "HundredMark": 100.0}


@dataclass(frozen=True)
class Scored:
    """A word with its accuracy, from 0 to 1. `word` is None if the speaker left out a word of the reference text."""

    text: str
    word: Word | None
    accuracy: float
    error: str


class Assessment:
    """A comparison of one clip's words with the reference text. `parameters` are those of the header."""

    def __init__(self, words: Sequence[Word], parameters: Mapping[str, Any]) -> None:
        self._words = words
        self._expected = [text for text in map(_key, str(parameters["ReferenceText"]).split()) if text]
        self._comprehensive = parameters.get("Dimension") == "Comprehensive"
        self._miscue = str(parameters.get("EnableMiscue")).lower() == "true"
        self._prosody = str(parameters.get("EnableProsodyAssessment")).lower() == "true"
        self._points = POINTS[parameters.get("GradingSystem", "FivePoint")]
        self._scored = list(self._align())
        self.has_words = parameters.get("Granularity") != "FullText"

    def overall(self) -> dict[str, float]:
        """Return the scores of the whole clip."""
        accuracy = fmean(scored.accuracy for scored in self._scored if scored.word)
        if not self._comprehensive:
            return {"AccuracyScore": self._mark(accuracy)}
        correct = sum(scored.error == "None" for scored in self._scored)
        scores = [accuracy, self._fluency(), min(1.0, correct / max(1, len(self._expected)))]
        names = ["AccuracyScore", "FluencyScore", "CompletenessScore"]
        if self._prosody:
            scores, names = [*scores, self._fluency()], [*names, "ProsodyScore"]
        marks = {name: self._mark(score) for name, score in zip(names, scores, strict=True)}
        return {**marks, "PronScore": self._mark(fmean(scores))}

    def words(self) -> Iterator[tuple[str, Word | None, dict[str, Any]]]:
        """Yield each word's text, the word itself if it was spoken, and its scores."""
        for scored in self._scored:
            error = {"ErrorType": scored.error} if self._comprehensive else {}
            yield scored.text, scored.word, {"AccuracyScore": self._mark(scored.accuracy), **error}

    def _align(self) -> Iterator[Scored]:
        spoken = [_key(word.text) for word in self._words]
        matcher = SequenceMatcher(None, self._expected, spoken, autojunk=False)
        for kind, first, last, spoken_first, spoken_last in matcher.get_opcodes():
            for expected, word in zip_longest(self._expected[first:last], self._words[spoken_first:spoken_last]):
                if word is None:
                    if self._miscue:
                        yield Scored(expected, None, 0.0, "Omission")
                elif kind == "equal":
                    yield Scored(word.text, word, 1.0, "None")
                elif expected is None and self._miscue:
                    yield Scored(word.text, word, 0.0, "Insertion")
                else:
                    likeness = SequenceMatcher(None, expected or "", _key(word.text)).ratio()
                    yield Scored(word.text, word, likeness, "Mispronunciation")

    def _fluency(self) -> float:
        pauses = sum(max(0.0, after.start - word.end - FLUENT_PAUSE_SECONDS) for word, after in pairwise(self._words))
        return 1 - pauses / max(pauses, self._words[-1].end - self._words[0].start)

    def _mark(self, score: float) -> float:
        return round(score * self._points, 1)


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
