"""The service's JSON, in all the shapes that are documented or reported."""

import json
from typing import Any

import pytest

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


def test_a_detailed_answer_gives_the_services_choice_and_the_rest_as_alternatives() -> None:
    phrase = parse(DETAILED).phrase
    assert phrase is not None
    assert (phrase.text, phrase.confidence, phrase.lexical) == ("Good.", 0.9, "good")
    assert phrase.alternatives == (Alternative("could", 0.95),)
    assert phrase.words == (Word("good", 0.5, 0.2),)


def test_display_text_goes_before_the_first_alternative() -> None:
    phrase = parse({**DETAILED, "DisplayText": "Good!"}).phrase
    assert phrase is not None
    assert phrase.text == "Good!"


def test_times_may_be_strings_or_numbers() -> None:
    assert parse(SIMPLE) == parse({**SIMPLE, "Offset": 5_000_000, "Duration": 20_000_000})


@pytest.mark.parametrize("status", ["NoMatch", "InitialSilenceTimeout", "BabbleTimeout"])
def test_an_answer_that_nobody_was_understood_has_no_phrase(status: str) -> None:
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
def test_what_is_no_answer_is_tried_again(body: bytes) -> None:
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
def test_a_detail_that_makes_no_sense_is_left_out_and_the_words_kept(odd: dict[str, Any]) -> None:
    phrase = parse({**DETAILED, "NBest": [{**BEST, **odd}, {}, OTHER]}).phrase
    assert phrase is not None
    assert phrase.text == "Good."
    assert None in (phrase.confidence, phrase.lexical)
    assert phrase.alternatives == (Alternative("could", 0.95),)


def test_times_may_be_fractions_and_never_lie_before_the_clip() -> None:
    assert parse({**SIMPLE, "Duration": "20000000.0"}) == parse(SIMPLE)
    assert parse({**SIMPLE, "Offset": -1}).covered == 2.0


def test_half_a_character_does_not_spoil_the_document() -> None:
    phrase = answers.parse(b'{"RecognitionStatus":"Success","DisplayText":"a \\ud800 b"}').phrase
    assert phrase is not None
    assert phrase.text.encode() == b"a ? b"
