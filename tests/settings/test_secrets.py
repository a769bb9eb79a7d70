"""A text that repeats a secret is recognised, whatever the encoding, and any other text is quoted."""

import base64
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.secrets import ENCODINGS
from tests.support.settings import SPEECH_KEY
from transcription.settings.secrets import NOT_SHOWN, RUN, Secrets

TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtleTEifQ.eyJyZWdpb24iOiJ3In0.Zm9v-YmFy_0a1b2c3d4e5f"


@pytest.mark.parametrize("secret", [SPEECH_KEY, TOKEN, "hunter2-hunter3", "p4ssw0rd"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_repeated_secret_is_recognised(secret: str, encoding: str) -> None:
    text = ENCODINGS[encoding](f"Denied for {secret}.").decode("utf-8", "replace")
    assert Secrets([secret]).quotable(text) == NOT_SHOWN


@given(
    st.text(st.sampled_from("0123456789abcdefABCDEFxyzXYZ"), min_size=32, max_size=90),
    st.integers(0, 60),
    st.integers(RUN, 90),
    st.sampled_from(sorted(ENCODINGS)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_a_long_part_of_a_secret_is_recognised(secret: str, start: int, length: int, encoding: str, front: str) -> None:
    part = secret[start : start + length]
    assume(len(part) >= 2 * RUN)  # in base64, the characters at the edges of a part depend on their neighbours
    text = ENCODINGS[encoding](f"{front} {part} ").decode("utf-8", "replace")
    assert Secrets(["", secret]).repeated_in(text)


def test_a_run_is_the_shortest_part_that_is_recognised() -> None:
    secrets = Secrets([SPEECH_KEY])
    assert secrets.repeated_in(SPEECH_KEY[5 : 5 + RUN])
    assert not secrets.repeated_in(SPEECH_KEY[5 : 5 + RUN - 1])


@pytest.mark.parametrize("text", ["code a1B2 is wrong", "https://h/a1B2/x", '{"code":"a1B2"}', "a%31B2", "&#97;1B2"])
def test_a_short_secret_is_recognised_as_a_whole_word(text: str) -> None:
    assert Secrets(["a1B2"]).quotable(text) == NOT_SHOWN


@pytest.mark.parametrize("text", ["xa1B2", "a1B23", "A1b2", "a1 B2", "for me"])
def test_a_short_secret_is_not_recognised_within_a_word_or_in_another_case(text: str) -> None:
    assert Secrets(["a1B2", "me", ""]).quotable(text) == text


def test_many_backslashes_take_no_time() -> None:
    started = time.process_time()
    assert not Secrets([SPEECH_KEY]).repeated_in("\\" * 200_000)
    assert time.process_time() - started < 2


def test_a_long_value_of_words_is_judged_in_no_time() -> None:
    started = time.process_time()
    assert not Secrets(["1" * 5000 + "a" * 5000 + "!"]).repeated_in_speech("one")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("before", range(4))
def test_base64_of_more_than_the_secret_is_recognised(before: int) -> None:
    header = "k" * before + SPEECH_KEY + ", and more"
    assert Secrets([SPEECH_KEY]).repeated_in(base64.b64encode(header.encode()).decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key.",
        "{'error': {'code': '429', 'message': 'Requests are limited.', 'innerError': {'code': 'TooManyRequests'}}}",
        "<html><head><title>502 Bad Gateway</title></head><body>nginx/1.18.0 &amp; friends</body></html>",
        "Überlastung: bitte später erneut versuchen \\u00e4 %C3%A4",
        "Is the key right? Check it.",
    ],
)
def test_any_other_text_is_quoted(text: str) -> None:
    assert Secrets([SPEECH_KEY, TOKEN, "", "true", "custom", "500"]).quotable(text) == text


@pytest.mark.parametrize("address", ["https://h/v1?code=a1b2&x=y", "https://h/v1%3Fcode=a1b2"])
def test_a_query_is_not_quoted(address: str) -> None:
    assert Secrets([]).quotable(f"No answer from {address} (404)") == "No answer from https://h/v1?… (404)"
