"""Failed requests give short reasons without secrets, and tell when another try may help."""

import errno
import os
from datetime import timedelta
from email.utils import format_datetime

import pytest
from urllib3.exceptions import ProtocolError

from tests.support.clock import FakeClock
from transcription.speech.failures import (
    QUOTED,
    explanation,
    is_retryable,
    network_reason,
    retry_after,
    without_secrets,
)


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
        (b"Invalid  audio\r\nformat.\n", "Invalid audio format"),
        (b'{"error": "busy"}', '{"error": "busy"}'),
        (b"[]", "[]"),
        (b"\xff\x1b[31m", "\ufffd [31m"),
        (b"", "(no explanation)"),
        (b"x" * 10_000, "x" * QUOTED),
    ],
)
def test_an_explanation_is_the_errors_message_or_text_on_one_line(body: bytes, expected: str) -> None:
    assert explanation(body) == expected


def test_keys_and_tokens_are_masked_in_any_case() -> None:
    assert without_secrets(b"key ABC, key abc", {"Ocp-Apim-Subscription-Key": "abc"}) == b"key ***, key ***"
    assert without_secrets(b"token t.k", {"Authorization": "Bearer t.k"}) == b"token ***"
    assert without_secrets(b"nothing to hide", {}) == b"nothing to hide"


def test_a_network_reason_is_the_innermost_cause() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    error = ProtocolError("Connection aborted.", reset)
    expected = "no answer from the Speech service (ConnectionResetError: Connection reset by peer)"
    assert network_reason(error, {}) == expected


def test_a_network_reason_has_no_secret() -> None:
    assert "(ValueError: bad line ***)" in network_reason(ValueError("bad line abc"), {"Authorization": "Bearer abc"})
