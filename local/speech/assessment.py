"""Scores for a pronunciation assessment, in the shape of the service's.

Which words of the reference text were recognised is real, so that the way there and back can be tried; how well they
were pronounced is not judged: a recognised word has 100, another one as much as its letters resemble the expected ones.
There are no phonemes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from statistics import fmean
from typing import Any

from local.speech.recognizer import Word

FLUENT_PAUSE_SECONDS = 0.3  # a shorter pause between words costs nothing
POINTS = {"FivePoint": 5.0, "HundredMark": 100.0}


@dataclass(frozen=True)
class Scored:
    """A word with its accuracy, from 0 to 1. `word` is None where a word of the reference text was left out."""

    text: str
    word: Word | None
    accuracy: float
    error: str


class Assessment:
    """One clip's words held against the reference text. `parameters` are the header's."""

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
        accuracy = fmean(one.accuracy for one in self._scored if one.word)
        if not self._comprehensive:
            return {"AccuracyScore": self._mark(accuracy)}
        said = sum(one.error == "None" for one in self._scored)
        scores = [accuracy, self._fluency(), min(1.0, said / max(1, len(self._expected)))]
        names = ["AccuracyScore", "FluencyScore", "CompletenessScore"]
        if self._prosody:
            scores, names = [*scores, self._fluency()], [*names, "ProsodyScore"]
        marks = {name: self._mark(score) for name, score in zip(names, scores, strict=True)}
        return {**marks, "PronScore": self._mark(fmean(scores))}

    def words(self) -> Iterator[tuple[str, Word | None, dict[str, Any]]]:
        """Each word's text, the word itself if it was spoken, and its scores."""
        for one in self._scored:
            error = {"ErrorType": one.error} if self._comprehensive else {}
            yield one.text, one.word, {"AccuracyScore": self._mark(one.accuracy), **error}

    def _align(self) -> Iterator[Scored]:
        heard = [_key(word.text) for word in self._words]
        for kind, first, last, heard_first, heard_last in SequenceMatcher(
            None, self._expected, heard, autojunk=False
        ).get_opcodes():
            for expected, word in zip_longest(self._expected[first:last], self._words[heard_first:heard_last]):
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
