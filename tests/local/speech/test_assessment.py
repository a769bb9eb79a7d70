"""A pronunciation assessment compares the recognised words with the reference text."""

import pytest

from local.speech import Word
from local.speech.assessment import Assessment

GOOD_MORNING = [Word("good", 0.0, 0.5), Word("morning", 0.5, 0.5)]
PERFECT = {"AccuracyScore": 100.0, "FluencyScore": 100.0, "CompletenessScore": 100.0, "PronScore": 100.0}


def assess(words: list[Word], text: str, **parameters: str) -> Assessment:
    settings = {"GradingSystem": "HundredMark", "Dimension": "Comprehensive", "EnableMiscue": "True"}
    return Assessment(words, {"ReferenceText": text, **settings, **parameters})


def errors(assessment: Assessment) -> list[tuple[str, str]]:
    return [(text, scores["ErrorType"]) for text, _, scores in assessment.words()]


def test_the_expected_words_have_full_marks() -> None:
    assessment = assess(GOOD_MORNING, "Good morning!")
    assert assessment.overall() == PERFECT
    assert errors(assessment) == [("good", "None"), ("morning", "None")]


def test_five_points_are_the_default() -> None:
    assert Assessment(GOOD_MORNING, {"ReferenceText": "good morning"}).overall() == {"AccuracyScore": 5.0}


def test_missing_additional_and_different_words_are_named() -> None:
    assert errors(assess(GOOD_MORNING, "good morning everyone")) == [
        ("good", "None"),
        ("morning", "None"),
        ("everyone", "Omission"),
    ]
    assert errors(assess(GOOD_MORNING, "good")) == [("good", "None"), ("morning", "Insertion")]
    assert errors(assess(GOOD_MORNING, "good evening")) == [("good", "None"), ("morning", "Mispronunciation")]


def test_a_different_word_scores_by_its_letters() -> None:
    (_, _, good), (_, _, morning) = assess(GOOD_MORNING, "good mourning").words()
    assert good["AccuracyScore"] == 100.0
    assert 50.0 < morning["AccuracyScore"] < 100.0


def test_without_miscue_a_missing_word_is_not_listed() -> None:
    assert errors(assess(GOOD_MORNING, "good morning everyone", EnableMiscue="False")) == [
        ("good", "None"),
        ("morning", "None"),
    ]


@pytest.mark.parametrize(("pause", "fluent"), [(0.3, True), (2.0, False)])
def test_long_pauses_lower_the_fluency(pause: float, fluent: bool) -> None:
    words = [Word("good", 0.0, 0.5), Word("morning", 0.5 + pause, 0.5)]
    assert (assess(words, "good morning").overall()["FluencyScore"] == 100.0) is fluent


def test_prosody_is_scored_on_request() -> None:
    assert assess(GOOD_MORNING, "good morning", EnableProsodyAssessment="True").overall()["ProsodyScore"] == 100.0


def test_full_text_granularity_has_no_words() -> None:
    assert not assess(GOOD_MORNING, "good morning", Granularity="FullText").has_words
    assert assess(GOOD_MORNING, "good morning", Granularity="Word").has_words
