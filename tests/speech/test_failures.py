"""Failed requests give short reasons without secrets, and tell when another try may help."""

import errno
import json
import os
from datetime import timedelta
from email.utils import format_datetime

import pytest
from urllib3.exceptions import ProtocolError

from tests.support.clock import FakeClock
from tests.support.secrets import ENCODINGS, shown_run
from tests.support.settings import SPEECH_KEY, app_settings
from transcription.errors import Retryable
from transcription.settings.app import Settings
from transcription.settings.secrets import NOT_SHOWN, Secrets
from transcription.speech.failures import (
    QUOTED,
    SEARCHED,
    explanation,
    is_retryable,
    network_reason,
    refuse_secrets,
    retry_after,
    secrets_of,
)

KEY = Secrets([SPEECH_KEY])


@pytest.mark.parametrize("status", [202, 204, 408, 429, 500, 503])
def test_another_try_may_change_the_status(status: int) -> None:
    assert is_retryable(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 413])
def test_no_retry_changes_the_status(status: int) -> None:
    assert not is_retryable(status)


def test_retry_after_may_be_seconds_or_a_date(clock: FakeClock) -> None:
    date = format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)
    assert retry_after({"Retry-After": " 9 "}, clock) == 9
    assert retry_after({"Retry-After": date}, clock) == 40


@pytest.mark.parametrize(
    "value", ["", "0", "-5", "soon", "\u0663", "Mon, 23 Nov 2026 09:00:00 GMT", "23 Nov 2026 10:01"]
)
def test_a_retry_after_that_names_no_time_ahead_is_ignored(clock: FakeClock, value: str) -> None:
    assert retry_after({"Retry-After": value}, clock) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": {"code": "429", "message": "Slow down."}}', "Slow down"),
        (b'{"Message": "Invalid CID or language"}', "Invalid CID or language"),
        (b'{"code": "InvalidRequest", "message": "No such locale.", "innerError": {}}', "No such locale"),
        (b'{"error": {"code": "Throttled", "message": ""}}', "Throttled"),
        (b'{"code": "InvalidRequest", "message": 5}', "InvalidRequest"),
        (b"Invalid  audio\r\nformat.\n", "Invalid audio format"),
        (b'{"error": "busy"}', '{"error": "busy"}'),
        (b"[]", "[]"),
        (b"\xff\x1b[31m", "\ufffd [31m"),
        (b"", "(no explanation)"),
        (b"x" * 10_000, "x" * QUOTED),
    ],
)
def test_an_explanation_is_the_errors_message_or_text_on_one_line(body: bytes, expected: str) -> None:
    assert explanation(body, KEY) == expected


def test_a_byte_order_mark_is_not_quoted() -> None:
    assert explanation("Access denied.".encode("utf-8-sig"), KEY) == "Access denied"
    assert explanation("Access denied.".encode("utf-16-le"), KEY) == "Access denied"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_explanation_that_repeats_the_key_is_not_shown(encoding: str) -> None:
    assert explanation(ENCODINGS[encoding](f"Denied for {SPEECH_KEY}."), KEY) == NOT_SHOWN


@pytest.mark.parametrize("before", [0, 12, QUOTED - 40, QUOTED - 20, QUOTED - 5, QUOTED, QUOTED + 200, 5 * QUOTED])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_part_of_the_key_is_shown_wherever_it_is_cut_off(encoding: str, before: int) -> None:
    said = explanation(ENCODINGS[encoding]("-" * before + SPEECH_KEY), KEY)
    assert len(said) <= QUOTED
    assert shown_run(SPEECH_KEY, said) == ""


def test_keys_tokens_and_query_settings_are_secrets_of_a_request() -> None:
    query = "subscription-key=c0de1c0de1c0de1&mode=custom"
    speech = Settings.read(
        app_settings(
            AZURE_SPEECH_QUERY=query,
            AZURE_SPEECH_ENDPOINT_ID="en-US=c0de2-c0de2-c0de2;fr-FR=c0de4-c0de4-c0de4",
            AZURE_SPEECH_KEY=SPEECH_KEY,
        )
    ).speech
    secrets = secrets_of(speech, {"Authorization": "Bearer c0de3.c0de3.c0de3"})
    for secret in (SPEECH_KEY, "c0de1c0de1c0de1", "c0de2-c0de2-c0de2", "c0de4-c0de4-c0de4", "c0de3.c0de3.c0de3"):
        assert explanation(f"no {secret} here".encode(), secrets) == NOT_SHOWN
    assert explanation(b"no custom mode here", secrets) == NOT_SHOWN
    assert explanation(b"Bearer mode is accustomed", secrets) == "Bearer mode is accustomed"


@pytest.mark.parametrize("ending", ["", "/", "/stt", "/stt/speech/recognition/dictation/cognitiveservices/v1"])
def test_the_path_of_a_gateway_is_a_secret_of_a_request(ending: str) -> None:
    address = f"https://gateway.example.com/api/Zq7vT2xK9wLm{ending}"
    secrets = secrets_of(Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=address)).speech, {})
    assert explanation(b"Cannot POST /api/Zq7vT2xK9wLm/stt/speech/recognition/x", secrets) == NOT_SHOWN
    assert explanation(b"Cannot POST /stt/speech/recognition/conversation/x", secrets).startswith("Cannot POST /stt")


def words(display: str) -> bytes:
    return json.dumps({"RecognitionStatus": "Success", "NBest": [{"Display": display}]}).encode()


def secrets_with_query(query: str, **settings: str) -> Secrets:
    return secrets_of(Settings.read(app_settings(AZURE_SPEECH_QUERY=query, **settings)).speech, {})


@pytest.mark.parametrize("secret", [SPEECH_KEY, "c0de1c0de1c0de1", "c0de2-c0de2-c0de2", "api/Zq7vT2xK9wLm"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_answer_whose_words_repeat_a_secret_is_not_used(encoding: str, secret: str) -> None:
    secrets = secrets_with_query(
        "code=c0de1c0de1c0de1",
        AZURE_SPEECH_ENDPOINT_ID="c0de2-c0de2-c0de2",
        AZURE_SPEECH_ENDPOINT="https://gateway.example.com/api/Zq7vT2xK9wLm",
    )
    repeated = ENCODINGS[encoding](secret).decode("utf-8", "replace")
    with pytest.raises(Retryable, match=r"^the service's answer repeats the key$"):
        refuse_secrets(words(f"Hello {repeated}"), secrets)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_an_answer_is_searched_after_decoding(encoding: str) -> None:
    with pytest.raises(Retryable, match="repeats the key"):
        refuse_secrets(words(SPEECH_KEY).decode().encode(encoding), KEY)


@pytest.mark.parametrize(
    "value", ["conversation", "true", "custom", "2026-11-25", "conversation2", "Sales_Calls", "a1b2"]
)
def test_a_setting_that_somebody_may_say_is_no_secret_of_a_transcript(value: str) -> None:
    answer = words(f"My {value} conversation 2026 11 25, sales calls")
    refuse_secrets(answer, secrets_with_query(f"mode={value}"))


@pytest.mark.parametrize("content", [b"", b"eyJ0.eyJ1.c2ln", b"{", b"[" * 100_000, b'{"Offset": 1, "Words": [null]}'])
def test_an_answer_without_words_is_passed_on(content: bytes) -> None:
    refuse_secrets(content, KEY)


def test_more_text_than_a_minute_of_speech_has_is_not_searched() -> None:
    with pytest.raises(Retryable, match="could not be read"):
        refuse_secrets(words("x" * (SEARCHED + 1)), KEY)


def test_a_network_reason_is_the_innermost_cause() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    error = ProtocolError("Connection aborted.", reset)
    expected = "no answer from the Speech service (ConnectionResetError: Connection reset by peer)"
    assert network_reason(error, KEY) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_network_reason_that_repeats_the_key_is_not_shown(encoding: str) -> None:
    line = ENCODINGS[encoding](f"bad line {SPEECH_KEY}")
    assert f"(ValueError: {NOT_SHOWN})" in network_reason(ValueError(str(line)), KEY)
    if encoding != "full width":  # half of its bytes are control characters, which are not printed
        assert f"(ValueError: {NOT_SHOWN})" in network_reason(ValueError(line.decode("latin-1")), KEY)


def test_a_network_reason_has_no_query() -> None:
    error = ValueError("Max retries exceeded with url: /speech/v1?language=en-US&code=a1b2 (Caused by x)")
    assert "(ValueError: Max retries exceeded with url: /speech/v1?… (Caused by x))" in network_reason(error, KEY)
