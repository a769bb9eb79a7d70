"""Pronunciation assessment: asked for in the metadata, in one request, with its scores in the document."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from local.speech import Fault
from tests.support.app import App, check_document
from tests.support.sound import murmur, wav
from transcription.errors import InvalidOption
from transcription.speech import answers, pronunciation
from transcription.transcript.model import Phrase, Word

RECORDING = wav(murmur(2.0))
FLAT = {
    "RecognitionStatus": "Success",
    "Offset": "400000",
    "Duration": "11000000",
    "NBest": [
        {
            "Confidence": "0.87",
            "Lexical": "good morning",
            "ITN": "good morning",
            "MaskedITN": "good morning",
            "Display": "Good morning.",
            "PronScore": 84.4,
            "AccuracyScore": 100.0,
            "FluencyScore": "74",
            "CompletenessScore": 100,
            "ProsodyScore": 77.5,
            "Words": [
                {"Word": "Good", "AccuracyScore": 100.0, "ErrorType": "None", "Offset": 500000, "Duration": 2700000},
                {"Word": "very", "ErrorType": "Omission"},
                {
                    "Word": "morning",
                    "AccuracyScore": 61.0,
                    "ErrorType": "Mispronunciation",
                    "Offset": 5300000,
                    "Duration": 900000,
                    "Syllables": [
                        {"Syllable": "mɔr", "Grapheme": "mor", "AccuracyScore": 60, "Offset": 5300000, "Duration": 1},
                        {"AccuracyScore": 62.0, "Offset": 5300001, "Duration": 2},
                    ],
                    "Phonemes": [
                        {
                            "Phoneme": "m",
                            "AccuracyScore": 98.0,
                            "NBestPhonemes": [{"Phoneme": "m", "Score": 100.0}, {"Phoneme": "n", "Score": 3}],
                            "Offset": 5300000,
                            "Duration": 100000,
                        }
                    ],
                },
            ],
        }
    ],
}
SCORES = {
    "pronScore": 84.4,
    "accuracyScore": 100.0,
    "fluencyScore": 74.0,
    "completenessScore": 100.0,
    "prosodyScore": 77.5,
    "words": [
        {"word": "Good", "accuracyScore": 100.0, "errorType": "None", "offsetSeconds": 0.05, "durationSeconds": 0.27},
        {"word": "very", "errorType": "Omission"},
        {
            "word": "morning",
            "accuracyScore": 61.0,
            "errorType": "Mispronunciation",
            "offsetSeconds": 0.53,
            "durationSeconds": 0.09,
            "syllables": [
                {
                    "syllable": "mɔr",
                    "grapheme": "mor",
                    "accuracyScore": 60.0,
                    "offsetSeconds": 0.53,
                    "durationSeconds": 1e-7,
                },
                {"accuracyScore": 62.0, "offsetSeconds": 0.5300001, "durationSeconds": 2e-7},
            ],
            "phonemes": [
                {
                    "phoneme": "m",
                    "accuracyScore": 98.0,
                    "offsetSeconds": 0.53,
                    "durationSeconds": 0.01,
                    "nBestPhonemes": [{"phoneme": "m", "score": 100.0}, {"phoneme": "n", "score": 3.0}],
                }
            ],
        },
    ],
}


def nested(item: Any) -> Any:
    """The same as the Speech SDK has it, with scores in an object of their own."""
    if isinstance(item, list):
        return [nested(part) for part in item]
    if not isinstance(item, dict):
        return item
    own = {name for name in item if name.endswith("Score") or name in ("ErrorType", "NBestPhonemes")}
    rest = {name: nested(part) for name, part in item.items() if name not in own}
    return {**rest, "PronunciationAssessment": {name: item[name] for name in own}} if own else rest


def phrase(answer: Any) -> Phrase:
    found = answers.parse(json.dumps(answer).encode()).phrase
    assert found is not None
    return found


def asked(app: App) -> dict[str, str]:
    """The parameters that the endpoint was last sent."""
    header = app.endpoint.received[-1].headers["pronunciation-assessment"]
    parameters: dict[str, str] = json.loads(base64.b64decode(header, validate=True).decode())
    return parameters


# What is asked for


def test_a_reference_text_asks_for_an_assessment_with_the_services_defaults(app: App) -> None:
    text = 'Grüß Gott, 100% "wörld" 世界'
    app.upload("a.wav", RECORDING, Reference_Text=quote(text))
    app.run("a.wav")
    assert asked(app) == {"ReferenceText": text}
    assert app.document("a.wav")["phrases"][0]["pronunciation"]["accuracyScore"] >= 0


def test_every_parameter_of_the_header_can_be_set(app: App) -> None:
    parameters = {
        "ReferenceText": "hello world",
        "GradingSystem": "HundredMark",
        "Granularity": "Word",
        "Dimension": "Comprehensive",
        "EnableMiscue": "True",
        "EnableProsodyAssessment": "True",
        "PhonemeAlphabet": "IPA",
        "NBestPhonemeCount": "5",
        "ScenarioId": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    }
    app.upload("a.wav", RECORDING, pronunciation=quote(json.dumps(parameters)))
    app.run("a.wav")
    assert asked(app) == parameters


def test_parameters_are_spelled_as_the_service_spells_them() -> None:
    given = {"referenceText": " hi ", "gradingsystem": "hundredmark", "enableMiscue": True, "nbestPhonemeCount": 5}
    assert pronunciation.requested({"pronunciation": quote(json.dumps(given))}) == {
        "ReferenceText": "hi",
        "GradingSystem": "HundredMark",
        "EnableMiscue": "True",
        "NBestPhonemeCount": "5",
    }


@pytest.mark.parametrize("metadata", [{}, {"reference_text": ""}, {"pronunciation": " ", "language": "en-US"}])
def test_without_a_wish_none_is_asked_for(metadata: dict[str, str]) -> None:
    assert pronunciation.requested(metadata) is None


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"reference_text": "%ff"}, "reference_text is not percent-encoded UTF-8"),
        ({"reference_text": "%20"}, "has no text"),
        ({"reference_text": "hi", "pronunciation": "%7B%7D"}, "set one of them"),
        ({"pronunciation": "hi"}, "no percent-encoded JSON object"),
        ({"pronunciation": "[]"}, "no percent-encoded JSON object"),
        ({"pronunciation": "[" * 100_000}, "no percent-encoded JSON object"),
        ({"pronunciation": "{}"}, "lacks ReferenceText"),
        ({"pronunciation": '{"ReferenceText": 5}'}, "has no text"),
        ({"pronunciation": '{"ReferenceText": "hi", "Stars": 5}'}, "'Stars': it may be ReferenceText, GradingSystem"),
        ({"pronunciation": '{"ReferenceText": "hi", "GradingSystem": "Stars"}'}, "it may be FivePoint, HundredMark"),
        ({"pronunciation": '{"ReferenceText": "hi", "Granularity": null}'}, "it may be Phoneme, Word, FullText"),
        ({"pronunciation": '{"ReferenceText": "hi", "Dimension": "All"}'}, "it may be Basic, Comprehensive"),
        ({"pronunciation": '{"ReferenceText": "hi", "EnableMiscue": "yes"}'}, "it may be False, True"),
        ({"pronunciation": '{"ReferenceText": "hi", "EnableProsodyAssessment": 1}'}, "it may be False, True"),
        ({"pronunciation": '{"ReferenceText": "hi", "NBestPhonemeCount": "many"}'}, "a whole number from 1"),
        ({"pronunciation": '{"ReferenceText": "hi", "ScenarioId": "a\\nb"}'}, "it may be a GUID"),
    ],
)
def test_what_there_is_not_is_refused_and_named(metadata: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        pronunciation.requested(metadata)
    assert says in str(refused.value)


def test_a_wrong_parameter_ends_as_failed_before_anything_is_sent(app: App) -> None:
    app.upload("a.wav", RECORDING, pronunciation=quote('{"ReferenceText": "hi", "Granularity": "Letter"}'))
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "InvalidOption"
    assert app.requests == 0


def test_half_a_minute_is_assessed_in_one_request_and_more_is_refused(app: App) -> None:
    for name, seconds in (("a.wav", 30.0), ("b.wav", 30.1)):
        app.upload(name, wav(murmur(seconds)), reference_text="hello%20world")
        app.run(name)
    assert app.document("a.wav")["status"] == "Succeeded"
    assert app.requests == 1
    assert app.document("b.wav")["error"]["code"] == "TooLongForPronunciation"


def test_simple_answers_are_not_asked_for_where_scores_are(app: App) -> None:
    app.upload("a.wav", RECORDING, reference_text="hello%20world")
    app.run("a.wav", SPEECH_FORMAT="simple")
    assert app.endpoint.received[0].query["format"] == "detailed"
    assert app.document("a.wav")["phrases"][0]["pronunciation"]["accuracyScore"] == 5.0


# What comes back


@pytest.mark.parametrize("answer", [FLAT, nested(FLAT)], ids=["REST", "SDK"])
def test_scores_are_read_in_both_shapes(answer: Any) -> None:
    found = phrase(answer)
    assert found.pronunciation == SCORES
    assert found.confidence == 0.87
    assert found.words == (Word("Good", 0.05, 0.27), Word("morning", 0.53, 0.09))


def test_an_answer_without_scores_has_no_pronunciation() -> None:
    best = {"Display": "Hi.", "Words": [{"Word": "hi", "Offset": 1, "Duration": 1}]}
    assert phrase({"RecognitionStatus": "Success", "NBest": [best]}).pronunciation is None


def test_scores_are_in_the_document_as_the_schema_has_them(app: App) -> None:
    for number, answer in enumerate((FLAT, nested(FLAT))):
        app.endpoint.faults.append(Fault.document(answer))
        app.upload(f"{number}.wav", RECORDING, reference_text="good%20very%20morning")
        app.run(f"{number}.wav")
        assert app.document(f"{number}.wav")["phrases"][0]["pronunciation"] == SCORES


def test_all_times_of_an_assessment_move_with_its_phrase() -> None:
    scores = phrase(FLAT).shifted(10.0).pronunciation
    assert scores is not None
    word = scores["words"][2]
    times = [part["offsetSeconds"] for part in (word, word["syllables"][0], word["phonemes"][0])]
    assert times == [10.53] * 3
    assert "offsetSeconds" not in scores["words"][1]
    assert Phrase(1.0, 1.0, "x").shifted(1.0).pronunciation is None


# What the local endpoint answers


@pytest.mark.parametrize(
    ("read", "words", "overall"),
    [
        ("Hello, world!", [("hello", 100.0, "None"), ("world", 100.0, "None")], (100.0, 100.0)),
        (
            "Hello wide world again.",
            [
                ("hello", 100.0, "None"),
                ("wide", 0.0, "Omission"),
                ("world", 100.0, "None"),
                ("again", 0.0, "Omission"),
            ],
            (100.0, 50.0),
        ),
        ("hello", [("hello", 100.0, "None"), ("world", 0.0, "Insertion")], (50.0, 100.0)),
        ("hello word", [("hello", 100.0, "None"), ("world", 88.9, "Mispronunciation")], (94.4, 50.0)),
    ],
)
def test_the_local_endpoint_compares_what_it_heard_with_what_was_to_be_read(
    app: App, read: str, words: list[tuple[str, float, str]], overall: tuple[float, float]
) -> None:
    parameters = {
        "ReferenceText": read,
        "GradingSystem": "HundredMark",
        "Dimension": "Comprehensive",
        "EnableMiscue": "True",
    }
    app.upload("a.wav", RECORDING, pronunciation=quote(json.dumps(parameters)))
    app.run("a.wav")
    document = app.document("a.wav")
    check_document(document)
    scores = document["phrases"][0]["pronunciation"]
    assert [(word["word"], word["accuracyScore"], word["errorType"]) for word in scores["words"]] == words
    assert (scores["accuracyScore"], scores["completenessScore"]) == pytest.approx(overall, abs=0.06)
    assert (scores["fluencyScore"], len(document["phrases"][0]["words"])) == (100.0, 2)


def test_the_local_endpoint_gives_no_more_than_was_asked_for(app: App) -> None:
    app.upload("a.wav", RECORDING, pronunciation=quote('{"ReferenceText": "hello", "Granularity": "FullText"}'))
    app.run("a.wav")
    assert app.document("a.wav")["phrases"][0]["pronunciation"] == {"accuracyScore": 2.5}


@pytest.mark.parametrize("audio_format", ["wav", "ogg"])
def test_an_assessment_of_nothing_costs_nothing(app: App, audio_format: str) -> None:
    app.upload("a.wav", wav(b""), reference_text="good%20morning")
    app.run("a.wav", SPEECH_AUDIO_FORMAT=audio_format)
    assert (app.document("a.wav")["status"], app.requests) == ("NoSpeech", 0)


def test_an_assessment_in_which_no_word_was_understood_says_so(app: App) -> None:
    app.endpoint.faults.append(Fault.document({"RecognitionStatus": "NoMatch", "Offset": 0, "Duration": 20_000_000}))
    app.upload("a.wav", RECORDING, reference_text="good%20morning")
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "NothingRecognized"
