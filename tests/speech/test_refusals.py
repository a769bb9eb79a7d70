"""An answer other than 200 says who can help: the deployer, the uploader, another try, or nobody."""

import pytest

from local.speech import Fault
from tests.support.app import App
from tests.support.settings import app_settings
from tests.support.sound import murmur, wav
from transcription.errors import (
    Misconfigured,
    Refused,
    RequestRefused,
    Retryable,
    TranscriptionError,
    UnknownLanguage,
)
from transcription.settings.speech import SpeechSettings
from transcription.speech.refusals import Asked, Refusal, recognition_error, token_error

TALK = wav((murmur(3.0) + bytes(64_000)) * 4)
INVALID = "Invalid CID or language"
BODY = b'{"Message":"Invalid CID or language"}'
CUSTOM_DOMAIN = "https://mine.cognitiveservices.azure.com"


def error_of(
    status: int,
    said: str = "no",
    *,
    endpoint: str | None = None,
    model: str | None = None,
    from_upload: bool = False,
    answered: bool = False,
) -> TranscriptionError:
    settings = SpeechSettings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint))
    return recognition_error(Refusal(status, said, 3.0), settings, Asked("fr-FR", model, from_upload, answered))


@pytest.mark.parametrize(
    ("model", "from_upload", "kind", "setting"),
    [
        (None, False, Misconfigured, "SPEECH_LANGUAGE"),
        ("m", False, Misconfigured, "AZURE_SPEECH_ENDPOINT_ID"),
        ("m", True, Misconfigured, "AZURE_SPEECH_ENDPOINT_ID"),
        (None, True, UnknownLanguage, "the metadata's language"),
    ],
)
def test_a_wrong_language_or_model_names_what_decided_it(
    model: str | None, from_upload: bool, kind: type[TranscriptionError], setting: str
) -> None:
    error = error_of(400, INVALID, model=model, from_upload=from_upload)
    assert type(error) is kind
    assert setting in str(error)
    assert "'fr-FR'" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "Unsupported audio format",
        "Invalid audio format",
        "The WAV header is malformed",
        "Pronunciation-Assessment is not valid base64",
    ],
)
@pytest.mark.parametrize("from_upload", [True, False])
def test_a_400_about_the_audio_is_final(said: str, from_upload: bool) -> None:
    assert type(error_of(400, said, from_upload=from_upload)) is RequestRefused


@pytest.mark.parametrize("said", ["(no explanation)", "Bad request"])
@pytest.mark.parametrize("from_upload", [True, False])
def test_an_unclear_400_is_about_the_language_until_that_was_answered(said: str, from_upload: bool) -> None:
    expected = UnknownLanguage if from_upload else Misconfigured
    assert type(error_of(400, said, from_upload=from_upload)) is expected
    assert type(error_of(400, said, from_upload=from_upload, answered=True)) is RequestRefused
    assert type(error_of(400, INVALID, from_upload=from_upload, answered=True)) is expected


def test_a_404_of_a_custom_domain_says_to_set_the_region() -> None:
    assert "set AZURE_SPEECH_REGION" in str(error_of(404, endpoint=CUSTOM_DOMAIN)).replace("Set", "set")
    assert "unless the resource has a private endpoint" in str(error_of(404, endpoint=CUSTOM_DOMAIN))
    assert "private endpoint" not in str(error_of(404))


@pytest.mark.parametrize(("status", "kind"), [(429, Refused), (503, Refused), (408, Retryable), (500, Retryable)])
def test_a_status_that_may_pass_is_retryable_with_its_wait(status: int, kind: type[Retryable]) -> None:
    error = error_of(status)
    assert type(error) is kind
    assert error.retry_after == 3.0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refused_token_names_the_address_and_suggests_the_key(status: int) -> None:
    error = token_error(Refusal(status, "Forbidden"), f"{CUSTOM_DOMAIN}/sts/v1.0/issueToken")
    assert isinstance(error, Misconfigured)
    assert f"{CUSTOM_DOMAIN}/sts/v1.0/issueToken answered {status}: Forbidden" in str(error)
    assert "set AZURE_SPEECH_AUTH to key" in str(error)
    assert "allows all networks" in str(error)


# From an upload to its document


def test_an_upload_is_tried_again_after_a_wrong_default_language(app: App) -> None:
    app.endpoint.faults.append(Fault.status(400, BODY))
    app.upload("a.wav", TALK)
    app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    error = app.document("a.wav")["error"]
    assert (error["code"], error["tryAgain"]) == ("Configuration", True)
    assert "SPEECH_LANGUAGE" in error["message"]
    assert app.requests == 1
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_language_of_the_upload_that_the_service_refuses_ends_it_after_one_request(app: App) -> None:
    app.endpoint.faults.extend([Fault.status(400, BODY)] * 4)
    app.upload("fr-FR/a.wav", TALK)
    app.run("fr-FR/a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    error = app.document("fr-FR/a.wav")["error"]
    assert (error["code"], error["tryAgain"]) == ("UnknownLanguage", False)
    assert app.requests == 1


def test_a_deleted_model_is_a_configuration_error_even_if_the_upload_names_the_language(app: App) -> None:
    app.endpoint.faults.append(Fault.status(400, BODY))
    app.upload("fr-FR/a.wav", TALK)
    app.run("fr-FR/a.wav", AZURE_SPEECH_ENDPOINT_ID="0f1e2d3c", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    error = app.document("fr-FR/a.wav")["error"]
    assert (error["code"], error["tryAgain"]) == ("Configuration", True)
    assert "0f1e2d3c" not in error["message"]
