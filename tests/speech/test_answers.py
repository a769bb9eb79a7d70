"""The service's JSON is understood in every shape that is documented or reported."""

import json
from typing import Any

import pytest

from tests.support.assessment import FLAT, SCORES, nested
from transcription.errors import Retryable
from transcription.speech import answers
from transcription.transcript.model import Alternative, Word

WORDS = [{"Word": "good", "Offset": 5_000_000, "Duration": 2_000_000}]
BEST = {"Confidence": 0.9, "Lexical": "good", "ITN": "good", "MaskedITN": "good", "Display": "Good.", "Words": WORDS}
OTHER = {"Confidence": 0.95, "Lexical": "could", "ITN": "could", "MaskedITN": "could", "Display": "could"}
DETAILED = {"RecognitionStatus": "Success", "Offset": 5_000_000, "Duration": 20_000_000, "NBest": [BEST, OTHER]}
SIMPLE = {"RecognitionStatus": "Success", "Offset": "5000000", "Duration": "20000000", "DisplayText": "Good."}


def parse(answer: Any) -> answers.Answer:
    return answers.parse(json.dumps(answer).encode())


def test_a_simple_answer_has_text_and_times_only() -> None:
    answer = parse(SIMPLE)
    assert answer.phrase is not None
    assert (answer.phrase.text, answer.phrase.offset, answer.phrase.duration) == ("Good.", 0.5, 2.0)
    assert (answer.phrase.confidence, answer.phrase.words, answer.covered) == (None, (), 2.5)


def test_a_detailed_answer_has_the_services_choice_and_its_alternatives() -> None:
    phrase = parse(DETAILED).phrase
    assert phrase is not None
    assert (phrase.text, phrase.confidence, phrase.lexical) == ("Good.", 0.9, "good")
    assert phrase.alternatives == (Alternative("could", 0.95),)
    assert phrase.words == (Word("good", 0.5, 0.2),)


def test_display_text_is_preferred_to_the_first_alternative() -> None:
    phrase = parse({**DETAILED, "DisplayText": "Good!"}).phrase
    assert phrase is not None
    assert phrase.text == "Good!"


def test_times_may_be_strings_or_numbers() -> None:
    assert parse(SIMPLE) == parse({**SIMPLE, "Offset": 5_000_000, "Duration": 20_000_000})


@pytest.mark.parametrize("status", ["NoMatch", "InitialSilenceTimeout", "BabbleTimeout"])
def test_an_answer_without_recognized_speech_has_no_phrase(status: str) -> None:
    answer = parse({"RecognitionStatus": status, "Offset": 0, "Duration": 30_000_000})
    assert (answer.status, answer.phrase, answer.covered) == (status, None, 3.0)


@pytest.mark.parametrize("empty", [{"DisplayText": ""}, {"NBest": []}, {"NBest": [{**BEST, "Display": ""}]}, {}])
def test_success_without_words_has_no_phrase(empty: dict[str, Any]) -> None:
    assert parse({"RecognitionStatus": "Success", "Offset": 0, "Duration": 1, **empty}).phrase is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"RecognitionStatus":"Success","Off',
        b'{"RecognitionStatus":"Error"}',
        b'{"RecognitionStatus":"EndOfDictation"}',
        b'{"RecognitionStatus":"Success","Offset":"soon"}',
        b'{"RecognitionStatus":"Success","NBest":"x"}',
        b'{"RecognitionStatus":"Success","NBest":[1]}',
        b'{"RecognitionStatus":"Success","NBest":[{"Display":"a","Words":[1]}]}',
        b'{"RecognitionStatus":"Success","Offset":1e999,"DisplayText":"a"}',
        b'{"RecognitionStatus":"Success","Offset":NaN,"DisplayText":"a"}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_anything_but_an_answer_is_retryable(body: bytes) -> None:
    with pytest.raises(Retryable):
        answers.parse(body)


@pytest.mark.parametrize(
    "odd",
    [
        {"Confidence": None},
        {"Confidence": 1.2},
        {"Confidence": "high"},
        {"Confidence": float("nan")},
        {"Lexical": ["good"]},
        {"Lexical": None},
    ],
)
def test_an_implausible_detail_is_left_out_and_the_words_are_kept(odd: dict[str, Any]) -> None:
    phrase = parse({**DETAILED, "NBest": [{**BEST, **odd}, {}, OTHER]}).phrase
    assert phrase is not None
    assert phrase.text == "Good."
    assert None in (phrase.confidence, phrase.lexical)
    assert phrase.alternatives == (Alternative("could", 0.95),)


def test_times_may_be_fractions_and_are_never_before_the_clip() -> None:
    assert parse({**SIMPLE, "Duration": "20000000.0"}) == parse(SIMPLE)
    assert parse({**SIMPLE, "Offset": -1}).covered == 2.0


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    phrase = answers.parse(b'{"RecognitionStatus":"Success","DisplayText":"a \\ud800 b"}').phrase
    assert phrase is not None
    assert phrase.text.encode() == b"a ? b"


@pytest.mark.parametrize("answer", [FLAT, nested(FLAT)], ids=["REST", "SDK"])
def test_scores_are_read_in_both_shapes(answer: Any) -> None:
    phrase = parse(answer).phrase
    assert phrase is not None
    assert phrase.pronunciation == SCORES
    assert phrase.confidence == 0.87
    assert phrase.words == (Word("Good", 0.05, 0.27), Word("morning", 0.53, 0.09))


def test_an_answer_without_scores_has_no_pronunciation() -> None:
    best = {"Display": "Hi.", "Words": [{"Word": "hi", "Offset": 1, "Duration": 1}]}
    phrase = parse({"RecognitionStatus": "Success", "NBest": [best]}).phrase
    assert phrase is not None
    assert phrase.pronunciation is None


def test_nothing_in_a_clamped_answer_is_beyond_the_clip() -> None:
    answer = parse(DETAILED).clamped(0.6)
    assert answer.phrase is not None
    (word,) = answer.phrase.words
    assert (answer.covered, answer.phrase.end, word.end) == pytest.approx((0.6, 0.6, 0.6))


def test_text_without_a_duration_lasts_until_its_last_word_ends() -> None:
    answer = parse({**DETAILED, "Duration": 0}).clamped(3.0)
    assert answer.phrase is not None
    assert (answer.phrase.end, answer.covered) == pytest.approx((0.7, 0.7))


def test_text_without_a_duration_and_without_words_lasts_until_the_clip_ends() -> None:
    answer = parse({**SIMPLE, "Duration": 0}).clamped(3.0)
    assert answer.phrase is not None
    assert (answer.phrase.end, answer.covered) == pytest.approx((3.0, 3.0))


@pytest.mark.parametrize("status", ["0123 4567 89ab cdef", "Odd"])
def test_an_unknown_status_is_not_quoted_because_it_may_repeat_the_key(status: str) -> None:
    with pytest.raises(Retryable, match="unknown RecognitionStatus") as caught:
        parse({"RecognitionStatus": status, "Offset": 0, "Duration": 0})
    assert status not in str(caught.value)
