"""App settings are read together, and one error names every problem."""

import random
import string
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.secrets import BREAKS, shown_run
from tests.support.settings import RESOURCE_ID, SPEECH_KEY, app_settings
from transcription.errors import Misconfigured
from transcription.settings.app import Settings, StorageSettings, SweepSettings, TriggerSettings, log_wrong_settings
from transcription.settings.models import Models

CONFIDENTIAL = (
    "AZURE_SPEECH_KEY",
    "AZURE_SPEECH_REGION",
    "AZURE_SPEECH_ENDPOINT",
    "AZURE_SPEECH_ENDPOINT_ID",
    "AZURE_SPEECH_RESOURCE_ID",
    "AZURE_SPEECH_QUERY",
    "AudioStorage",
    "AudioStorage__blobServiceUri",
    "AudioStorage__queueServiceUri",
    "AudioStorage__clientId",
)
HARMLESS = (
    "AUDIO_CONTAINER",
    "TRANSCRIPT_CONTAINER",
    "WORK_CONTAINER",
    "AZURE_SPEECH_AUTH",
    "SPEECH_LANGUAGE",
    "SPEECH_PROFANITY",
    "SPEECH_FORMAT",
    "SPEECH_AUDIO_FORMAT",
    "SPEECH_WORD_TIMES",
    "SPEECH_PAUSE_SECONDS",
    "SPEECH_MAX_CONCURRENT_REQUESTS",
    "TRANSCRIPT_FORMATS",
    "MAX_AUDIO_MINUTES",
    "MAX_AUDIO_MEGABYTES",
    "MAX_PROCESSING_MINUTES",
    "SWEEP_SCHEDULE",
    "SWEEP_DAYS",
    "BLOB_TRIGGER_SOURCE",
)
ALPHABETS = (string.hexdigits.lower()[:16], string.ascii_letters + string.digits, string.ascii_letters + "0123456789+/")


def problems(**changes: str | None) -> str:
    with pytest.raises(Misconfigured) as caught:
        Settings.read(app_settings(**changes))
    return str(caught.value)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = Settings.read(app_settings())
    speech = settings.speech
    assert (speech.language, speech.profanity, speech.detailed, speech.word_times) == ("en-US", "masked", True, True)
    assert (speech.auth, speech.audio_format, speech.models, speech.extra_query) == ("key", "wav", Models(), ())
    assert (speech.max_concurrent_requests, speech.pause_seconds) == (64, 0.8)
    assert (speech.resource_id, speech.client_id) == ("", None)
    assert (settings.storage.audio_container, settings.storage.transcript_container) == ("audio", "transcripts")
    assert settings.storage.work_container == "transcription-work"
    assert settings.sweep == SweepSettings("0 */15 * * * *", 7)
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
        ("AZURE_SPEECH_ENDPOINT", "westeurope", "is not a URL"),
        ("AZURE_SPEECH_REGION", "West Europe!", "has a space at position 5"),
        ("AZURE_SPEECH_AUTH", "password", "key, token, identity"),
        ("AZURE_SPEECH_RESOURCE_ID", "my-speech", "is not the id of a Speech resource"),
        ("SPEECH_PAUSE_SECONDS", "0.1", "from 0.3 to 5"),
        ("AZURE_SPEECH_QUERY", "language=de-DE", "names 'language', which SPEECH_LANGUAGE decides"),
        ("AZURE_SPEECH_ENDPOINT_ID", "english=0f1e", "en-US=<endpoint id>"),
        ("AZURE_SPEECH_QUERY", "nonsense", "name=value"),
        ("SPEECH_LANGUAGE", "english", "locale"),
        ("SPEECH_PROFANITY", "masked,raw", "one of"),
        ("SPEECH_FORMAT", "verbose", "simple, detailed"),
        ("SPEECH_AUDIO_FORMAT", "mp3", "wav, ogg"),
        ("SPEECH_WORD_TIMES", "maybe", "true, false"),
        ("SPEECH_MAX_CONCURRENT_REQUESTS", "0", "whole number"),
        ("TRANSCRIPT_FORMATS", "json,pdf", "json, vtt, srt, txt"),
        ("TRANSCRIPT_CONTAINER", "audio", "other than AUDIO_CONTAINER"),
        ("WORK_CONTAINER", "audio", "other than AUDIO_CONTAINER and"),
        ("WORK_CONTAINER", "transcripts", "other than AUDIO_CONTAINER and"),
        ("WORK_CONTAINER", "Work", "lower-case"),
        ("SWEEP_DAYS", "0", "number above 0"),
        ("SWEEP_DAYS", "4000", "up to 3650"),
        ("AUDIO_CONTAINER", "Audio Files", "lower-case"),
        ("AudioStorage__queueServiceUri", "acc.queue.core.windows.net", "https://<account>.queue.core.windows.net"),
        ("AudioStorage__queueServiceUri", "https://acc.queue.core.windows.net/q", "has a path"),
        ("MAX_AUDIO_MEGABYTES", "-1", "number above 0"),
        ("MAX_PROCESSING_MINUTES", "nan", "number above 0"),
        ("BLOB_TRIGGER_SOURCE", "Polling", "EventGrid, LogsAndContainerScan"),
        ("AudioStorage", "UseDevelopmentStorage=true", "whole connection string"),
        ("AudioStorage", "garbage", "as the portal shows it"),
        (
            "AudioStorage",
            "AccountName=a;AccountKey=not base64;EndpointSuffix=core.windows.net",
            "has a space at position 29",
        ),
        ("MAX_AUDIO_MEGABYTES", "1e308", "up to"),
        ("MAX_PROCESSING_MINUTES", "60", "up to 59"),
        ("SPEECH_MAX_CONCURRENT_REQUESTS", "9" * 5000, "whole number"),
        ("AZURE_SPEECH_ENDPOINT", "https://h:99999", "no valid host or port"),
        ("AZURE_SPEECH_ENDPOINT", "https://[::1", "no valid host or port"),
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


@pytest.mark.parametrize("name", [*CONFIDENTIAL, *HARMLESS])
@given(seed=st.integers(0, 1 << 32), alphabet=st.sampled_from(ALPHABETS), length=st.sampled_from([32, 44, 56, 84]))
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_no_message_shows_a_secret_that_a_setting_holds(name: str, seed: int, alphabet: str, length: int) -> None:
    secret = "".join(random.Random(seed).choices(alphabet, k=length))
    for way, paste in BREAKS.items():
        message = ""
        try:
            Settings.read(app_settings(**{name: paste(secret)}))
        except Misconfigured as error:
            message = "".join(traceback.format_exception(error))
        assert shown_run(secret, message) == "", way


@pytest.mark.parametrize("name", CONFIDENTIAL)
def test_the_log_at_start_shows_no_short_secret(name: str, caplog: pytest.LogCaptureFixture) -> None:
    for way, paste in BREAKS.items():
        caplog.clear()
        log_wrong_settings(app_settings(**{name: paste("S3cr3tQ")}))
        assert "3cr3" not in caplog.text, way


def test_what_is_wrong_with_a_key_is_said_without_the_key() -> None:
    assert "AZURE_SPEECH_KEY has a space at position 16. Copy the key again, as the portal shows it." in problems(
        AZURE_SPEECH_KEY=f"{SPEECH_KEY[:15]} {SPEECH_KEY[15:]}"
    )
    assert "AZURE_SPEECH_ENDPOINT has a query (?…). Remove it." in problems(
        AZURE_SPEECH_ENDPOINT="https://h/?code=c0de"
    )


def test_the_repr_of_settings_has_no_secrets() -> None:
    confidential = {
        "AZURE_SPEECH_ENDPOINT": "https://gateway.example.com/c0de1",
        "AZURE_SPEECH_ENDPOINT_ID": "c0de2",
        "AZURE_SPEECH_QUERY": "subscription-key=c0de3",
        "AudioStorage__clientId": "c0de4",
        "AZURE_SPEECH_RESOURCE_ID": RESOURCE_ID.replace("1234", "c0de"),
    }
    shown = repr(Settings.read(app_settings(**confidential)))
    assert SPEECH_KEY not in shown
    assert "c2VjcmV0" not in shown
    assert "c0de" not in shown


def test_a_managed_identity_needs_both_urls_of_the_account() -> None:
    urls = {
        "AudioStorage": None,
        "AudioStorage__blobServiceUri": "https://acc.blob.core.windows.net",
        "AudioStorage__queueServiceUri": "https://acc.queue.core.windows.net",
        "AudioStorage__clientId": "1234",
    }
    storage = Settings.read(app_settings(**urls)).storage
    assert (storage.connection_string, storage.account_url) == (None, "https://acc.blob.core.windows.net")
    assert (storage.queue_url, storage.client_id) == ("https://acc.queue.core.windows.net", "1234")
    assert "AudioStorage__queueServiceUri" in problems(**{**urls, "AudioStorage__queueServiceUri": None})


def test_storage_settings_need_no_speech_settings() -> None:
    StorageSettings.read(app_settings(AZURE_SPEECH_KEY=None, AZURE_SPEECH_REGION=None, SPEECH_PROFANITY="nice"))


def test_reading_the_trigger_settings_never_fails() -> None:
    assert TriggerSettings.read({}) == TriggerSettings("audio", "EventGrid", "0 */15 * * * *")
    assert TriggerSettings.read({"BLOB_TRIGGER_SOURCE": "nonsense"}).source == "EventGrid"
    local = {"AUDIO_CONTAINER": "uploads", "BLOB_TRIGGER_SOURCE": "logsandcontainerscan"}
    assert TriggerSettings.read(local) == TriggerSettings("uploads", "LogsAndContainerScan")


@pytest.mark.parametrize(
    ("value", "schedule"),
    [("off", None), (" OFF ", None), ("0 0 3 * * MON", "0 0 3 * * MON"), ("hourly", "0 */15 * * * *")],
)
def test_both_readers_agree_on_the_schedule_and_replace_a_wrong_one(value: str, schedule: str | None) -> None:
    environ = app_settings(SWEEP_SCHEDULE=value)
    assert TriggerSettings.read(environ).sweep_schedule == schedule
    assert Settings.read(environ).sweep.schedule == schedule


@pytest.mark.parametrize("value", ["", "off", "0 0 3 * * MON"])
def test_a_right_schedule_is_not_logged(value: str, caplog: pytest.LogCaptureFixture) -> None:
    log_wrong_settings(app_settings(SWEEP_SCHEDULE=value))
    assert caplog.text == ""


def test_a_wrong_schedule_is_logged_at_start_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    log_wrong_settings(app_settings(SWEEP_SCHEDULE="0 S3cr3t * * * *"))
    assert "SWEEP_SCHEDULE has a wrong field for minutes" in caplog.text
    assert "the default '0 */15 * * * *' is used" in caplog.text
    assert "S3cr3t" not in caplog.text


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
