"""App settings are read together, and one error names every problem."""

import pytest

from tests.support.settings import SPEECH_KEY, app_settings
from transcription.errors import Misconfigured
from transcription.settings.app import Settings, StorageSettings, TriggerSettings


def problems(**changes: str | None) -> str:
    with pytest.raises(Misconfigured) as caught:
        Settings.read(app_settings(**changes))
    return str(caught.value)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings.read(app_settings())
    speech = settings.speech
    assert (speech.language, speech.profanity, speech.detailed, speech.word_times) == ("en-US", "masked", True, True)
    assert (speech.auth, speech.audio_format, speech.model_id, speech.extra_query) == ("key", "wav", None, ())
    assert speech.max_concurrent_requests == 8
    assert (settings.storage.audio_container, settings.storage.transcript_container) == ("audio", "transcripts")
    assert settings.document_formats == ("json",)
    assert settings.limits.audio_seconds == 120 * 60
    assert settings.limits.upload_bytes == 512 * 1024 * 1024
    assert settings.limits.processing_seconds == 50 * 60


def test_one_error_names_every_problem() -> None:
    message = problems(
        AZURE_SPEECH_KEY=None,
        AZURE_SPEECH_REGION=None,
        AudioStorage=None,
        SPEECH_PROFANITY="nice",
        MAX_AUDIO_MINUTES="long",
    )
    for name in ("AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AudioStorage", "SPEECH_PROFANITY", "MAX_AUDIO_MINUTES"):
        assert message.count(f"{name} is ") == 1
    assert "'nice'" in message
    assert "masked, removed, raw" in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AZURE_SPEECH_ENDPOINT", "http://speech.example.com", "https"),
        ("AZURE_SPEECH_ENDPOINT", "ftp://127.0.0.1", "https"),
        ("AZURE_SPEECH_ENDPOINT", "westeurope", "base URL"),
        ("AZURE_SPEECH_REGION", "West Europe!", "short name"),
        ("AZURE_SPEECH_AUTH", "password", "key, token"),
        ("AZURE_SPEECH_QUERY", "language=de-DE", "SPEECH_LANGUAGE"),
        ("AZURE_SPEECH_QUERY", "nonsense", "name=value"),
        ("SPEECH_LANGUAGE", "english", "locale"),
        ("SPEECH_PROFANITY", "masked,raw", "one of"),
        ("SPEECH_FORMAT", "verbose", "simple, detailed"),
        ("SPEECH_AUDIO_FORMAT", "mp3", "wav, ogg"),
        ("SPEECH_WORD_TIMES", "maybe", "true, false"),
        ("SPEECH_MAX_CONCURRENT_REQUESTS", "0", "whole number"),
        ("TRANSCRIPT_FORMATS", "json,pdf", "json, vtt, srt, txt"),
        ("TRANSCRIPT_CONTAINER", "audio", "other than AUDIO_CONTAINER"),
        ("AUDIO_CONTAINER", "Audio Files", "lower-case"),
        ("MAX_AUDIO_MEGABYTES", "-1", "number above 0"),
        ("MAX_PROCESSING_MINUTES", "nan", "number above 0"),
        ("BLOB_TRIGGER_SOURCE", "Polling", "EventGrid, LogsAndContainerScan"),
        ("AudioStorage", "UseDevelopmentStorage=true", "whole connection string"),
        ("AudioStorage", "garbage", "as the portal shows it"),
        (
            "AudioStorage",
            "AccountName=a;AccountKey=not base64;EndpointSuffix=core.windows.net",
            "as the portal shows it",
        ),
        ("MAX_AUDIO_MEGABYTES", "1e308", "up to"),
        ("MAX_PROCESSING_MINUTES", "60", "up to 59"),
        ("SPEECH_MAX_CONCURRENT_REQUESTS", "9" * 5000, "whole number"),
        ("AZURE_SPEECH_ENDPOINT", "https://h:99999", "base URL"),
        ("AZURE_SPEECH_ENDPOINT", "https://[::1", "base URL"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_set_it_to(name: str, value: str, expected: str) -> None:
    message = problems(**{name: value})
    assert name in message
    assert expected in message


def test_an_unresolved_key_vault_reference_is_reported_as_such() -> None:
    message = problems(AZURE_SPEECH_KEY="@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/speech)")
    assert "AZURE_SPEECH_KEY is an unresolved Key Vault reference" in message
    assert "vault.azure.net" not in message


def test_a_value_that_looks_like_a_secret_is_not_quoted() -> None:
    message = problems(
        AZURE_SPEECH_REGION=SPEECH_KEY,
        AZURE_SPEECH_KEY=SPEECH_KEY + "\nx",
        AZURE_SPEECH_ENDPOINT="https://user:sec\u2100ret@host",
        AZURE_SPEECH_QUERY=SPEECH_KEY,
        SPEECH_LANGUAGE="AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6",
    )
    assert SPEECH_KEY not in message
    assert "Eby8" not in message
    assert "sec\u2100ret" not in message


@pytest.mark.parametrize(
    ("name", "secret"),
    [("AZURE_SPEECH_KEY", "0123456789abcdef 0123456789abcdef"), ("AudioStorage", "AccountName=a;AccountKey=c2Vj cmV0")],
)
def test_a_wrong_secret_is_not_quoted_even_if_it_does_not_look_like_one(name: str, secret: str) -> None:
    assert secret not in problems(**{name: secret})


def test_the_repr_of_settings_has_no_secrets() -> None:
    shown = repr(Settings.read(app_settings()))
    assert SPEECH_KEY not in shown
    assert "c2VjcmV0" not in shown


def test_a_managed_identity_needs_both_urls_of_the_account() -> None:
    urls = {
        "AudioStorage": None,
        "AudioStorage__blobServiceUri": "https://acc.blob.core.windows.net",
        "AudioStorage__queueServiceUri": "https://acc.queue.core.windows.net",
        "AudioStorage__clientId": "1234",
    }
    storage = Settings.read(app_settings(**urls)).storage
    assert (storage.connection_string, storage.account_url) == (None, "https://acc.blob.core.windows.net")
    assert storage.client_id == "1234"
    assert "AudioStorage__queueServiceUri" in problems(**{**urls, "AudioStorage__queueServiceUri": None})


def test_storage_settings_need_no_speech_settings() -> None:
    StorageSettings.read(app_settings(AZURE_SPEECH_KEY=None, AZURE_SPEECH_REGION=None, SPEECH_PROFANITY="nice"))


def test_reading_the_trigger_settings_never_fails() -> None:
    assert TriggerSettings.read({}) == TriggerSettings("audio", "EventGrid")
    assert TriggerSettings.read({"BLOB_TRIGGER_SOURCE": "nonsense"}).source == "EventGrid"
    local = {"AUDIO_CONTAINER": "uploads", "BLOB_TRIGGER_SOURCE": "logsandcontainerscan"}
    assert TriggerSettings.read(local) == TriggerSettings("uploads", "LogsAndContainerScan")


def test_case_and_surrounding_blanks_of_values_do_not_matter() -> None:
    speech = Settings.read(
        app_settings(SPEECH_PROFANITY=" Raw ", SPEECH_WORD_TIMES="False", SPEECH_LANGUAGE="de-de")
    ).speech
    assert (speech.profanity, speech.word_times, speech.language) == ("raw", False, "de-DE")


def test_a_locale_newer_than_the_list_can_be_the_default() -> None:
    assert Settings.read(app_settings(SPEECH_LANGUAGE="tlh-KX")).speech.language == "tlh-KX"


def test_extra_query_parameters_keep_their_order() -> None:
    query = "storeAudio=false&SpeechContext-phraseDetection.conversation.segmentation.mode=custom"
    assert Settings.read(app_settings(AZURE_SPEECH_QUERY=query)).speech.extra_query == (
        ("storeAudio", "false"),
        ("SpeechContext-phraseDetection.conversation.segmentation.mode", "custom"),
    )
