"""Metadata requests a pronunciation assessment, and its scores are in the document."""

import base64
import json
from urllib.parse import quote

import pytest

from local.speech import Fault
from tests.support.app import App, check_document
from tests.support.assessment import FLAT, SCORES, nested
from tests.support.sound import murmur, wav
from transcription import locales
from transcription.errors import InvalidOption
from transcription.speech import pronunciation
from transcription.transcript.model import Phrase

RECORDING = wav(murmur(2.0))


def sent_parameters(app: App) -> dict[str, str]:
    """Return the parameters in the last request."""
    header = app.endpoint.received[-1].headers["pronunciation-assessment"]
    parameters: dict[str, str] = json.loads(base64.b64decode(header, validate=True).decode())
    return parameters


# The request


def test_a_reference_text_requests_an_assessment_with_the_services_defaults(app: App) -> None:
    text = 'Grüß Gott, 100% "wörld" 世界'
    app.upload("a.wav", RECORDING, Reference_Text=quote(text))
    app.run("a.wav")
    assert sent_parameters(app) == {"ReferenceText": text}
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
    assert sent_parameters(app) == parameters


def test_parameters_are_spelled_as_the_service_spells_them() -> None:
    given = {"referenceText": " hi ", "gradingsystem": "hundredmark", "enableMiscue": True, "nbestPhonemeCount": 5}
    assert pronunciation.requested({"pronunciation": quote(json.dumps(given))}) == {
        "ReferenceText": "hi",
        "GradingSystem": "HundredMark",
        "EnableMiscue": "True",
        "NBestPhonemeCount": "5",
    }


@pytest.mark.parametrize("metadata", [{}, {"reference_text": ""}, {"pronunciation": " ", "language": "en-US"}])
def test_metadata_without_parameters_requests_no_assessment(metadata: dict[str, str]) -> None:
    assert pronunciation.requested(metadata) is None


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"reference_text": "%ff"}, "reference_text is not percent-encoded UTF-8"),
        ({"reference_text": "%20"}, "has no text"),
        ({"reference_text": "hi", "pronunciation": "%7B%7D"}, "Set one of them"),
        ({"pronunciation": "hi"}, "not a percent-encoded JSON object"),
        ({"pronunciation": "[]"}, "not a percent-encoded JSON object"),
        ({"pronunciation": "[" * 100_000}, "not a percent-encoded JSON object"),
        ({"pronunciation": "{}"}, "lacks ReferenceText"),
        ({"pronunciation": '{"ReferenceText": 5}'}, "has no text"),
        ({"pronunciation": '{"ReferenceText": "hi", "Stars": 5}'}, "'Stars'. Use ReferenceText, GradingSystem"),
        ({"pronunciation": '{"ReferenceText": "hi", "GradingSystem": "Stars"}'}, "Use one of FivePoint, HundredMark"),
        ({"pronunciation": '{"ReferenceText": "hi", "Granularity": null}'}, "Use one of Phoneme, Word, FullText"),
        ({"pronunciation": '{"ReferenceText": "hi", "Dimension": "All"}'}, "Use one of Basic, Comprehensive"),
        ({"pronunciation": '{"ReferenceText": "hi", "EnableMiscue": "yes"}'}, "Use one of False, True"),
        ({"pronunciation": '{"ReferenceText": "hi", "EnableProsodyAssessment": 1}'}, "Use one of False, True"),
        ({"pronunciation": '{"ReferenceText": "hi", "NBestPhonemeCount": "many"}'}, "Use a whole number from 1"),
        ({"pronunciation": '{"ReferenceText": "hi", "ScenarioId": "a\\nb"}'}, "Use a GUID"),
    ],
)
def test_an_unsupported_parameter_is_refused_with_what_is_supported(metadata: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        pronunciation.requested(metadata)
    assert message in str(refused.value)


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


def test_an_assessment_always_requests_detailed_answers(app: App) -> None:
    app.upload("a.wav", RECORDING, reference_text="hello%20world")
    app.run("a.wav", SPEECH_FORMAT="simple")
    assert app.endpoint.received[0].query["format"] == "detailed"
    assert app.document("a.wav")["phrases"][0]["pronunciation"]["accuracyScore"] == 5.0


# The scores


def test_scores_are_in_the_document_in_the_shape_of_the_schema(app: App) -> None:
    for number, answer in enumerate((FLAT, nested(FLAT))):
        app.endpoint.faults.append(Fault.document(answer))
        app.upload(f"{number}.wav", RECORDING, reference_text="good%20very%20morning")
        app.run(f"{number}.wav")
        assert app.document(f"{number}.wav")["phrases"][0]["pronunciation"] == SCORES


def test_all_times_of_an_assessment_shift_with_its_phrase() -> None:
    scores = Phrase(0.0, 1.0, "x", pronunciation=SCORES).shifted(10.0).pronunciation
    assert scores is not None
    word = scores["words"][2]
    times = [part["offsetSeconds"] for part in (word, word["syllables"][0], word["phonemes"][0])]
    assert times == [10.53] * 3
    assert "offsetSeconds" not in scores["words"][1]
    assert Phrase(1.0, 1.0, "x").shifted(1.0).pronunciation is None


# The local endpoint's scores


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
def test_the_local_endpoint_compares_the_words_with_the_reference_text(
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


def test_the_local_endpoint_returns_only_the_requested_scores(app: App) -> None:
    app.upload("a.wav", RECORDING, pronunciation=quote('{"ReferenceText": "hello", "Granularity": "FullText"}'))
    app.run("a.wav")
    assert app.document("a.wav")["phrases"][0]["pronunciation"] == {"accuracyScore": 2.5}


@pytest.mark.parametrize("audio_format", ["wav", "ogg"])
def test_an_empty_recording_is_not_sent_for_assessment(app: App, audio_format: str) -> None:
    app.upload("a.wav", wav(b""), reference_text="good%20morning")
    app.run("a.wav", SPEECH_AUDIO_FORMAT=audio_format)
    assert (app.document("a.wav")["status"], app.requests) == ("NoSpeech", 0)


def test_an_assessment_without_a_recognized_word_fails(app: App) -> None:
    app.endpoint.faults.append(Fault.document({"RecognitionStatus": "NoMatch", "Offset": 0, "Duration": 20_000_000}))
    app.upload("a.wav", RECORDING, reference_text="good%20morning")
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "NothingRecognized"


@pytest.mark.parametrize("language", locales.ASSESSED)
def test_every_listed_locale_is_assessed(language: str) -> None:
    pronunciation.check_supported({"ReferenceText": "hi"}, language, us_government=False)


def test_an_assessment_of_another_locale_is_refused_before_anything_is_sent(app: App) -> None:
    app.upload("fr-BE/a.wav", RECORDING, reference_text="bonjour")
    app.run("fr-BE/a.wav")
    error = app.document("fr-BE/a.wav")["error"]
    assert (error["code"], error["tryAgain"], app.requests) == ("InvalidOption", False, 0)
    assert "'fr-BE'" in error["message"]
