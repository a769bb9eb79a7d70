"""The Speech client talks to the local endpoint over real sockets, with and without TLS."""

import gzip
import json
import logging
import threading
import time
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.speech import Behaviour, Fault, Script, SpeechEndpoint, Word
from tests.support.clock import FakeClock
from tests.support.secrets import ENCODINGS, shown_run
from tests.support.settings import SPEECH_KEY
from tests.support.speech_client import MINUTE, Caller
from tests.support.words import hello_world
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted, Misconfigured, RequestRefused, Retryable
from transcription.settings.secrets import NOT_SHOWN
from transcription.speech.client import RecognitionOptions
from transcription.speech.exchanges import MAX_ANSWER_BYTES
from transcription.speech.refusals import NO_ROOM
from transcription.speech.transport import CHUNK_BYTES

INVALID_LANGUAGE = b'{"Message":"Invalid CID or language"}'
AGES_AHEAD = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


@pytest.fixture(params=["plain", "tls"])
def either(request: pytest.FixtureRequest) -> SpeechEndpoint:
    endpoint: SpeechEndpoint = request.getfixturevalue("endpoint" if request.param == "plain" else "tls_endpoint")
    return endpoint


def test_a_clip_becomes_a_phrase_with_words(either: SpeechEndpoint, clock: FakeClock) -> None:
    answer = Caller(either, clock)()
    assert answer.phrase is not None
    assert answer.phrase.text == "Hello world."
    assert [word.text for word in answer.phrase.words] == ["hello", "world"]
    assert answer.phrase.words[1].offset == pytest.approx(1.0)


def test_a_request_has_the_form_that_the_service_documents(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock)
    caller(MINUTE)
    (sent,) = endpoint.received
    assert sent.path == "/speech/recognition/conversation/cognitiveservices/v1"
    assert sent.headers["content-type"] == "audio/wav; codecs=audio/pcm; samplerate=16000"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["expect"] == "100-continue"
    assert sent.headers["transfer-encoding"] == "chunked"
    assert sent.headers["ocp-apim-subscription-key"] == SPEECH_KEY
    assert "authorization" not in sent.headers
    assert sent.audio == MINUTE.header + MINUTE.body
    assert sent.chunks == -(-len(sent.audio) // CHUNK_BYTES)
    assert sent.query == {
        "language": "en-US",
        "format": "detailed",
        "profanity": "masked",
        "wordLevelTimestamps": "true",
        "X-ConnectionId": caller.usage.connection_ids[0],
    }


def test_every_setting_reaches_the_query(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(
        endpoint, clock, SPEECH_FORMAT="simple", AZURE_SPEECH_ENDPOINT_ID="model-1", AZURE_SPEECH_QUERY="a.b=c%26d&e="
    )
    caller.options = RecognitionOptions("fr-FR", "raw")
    caller()
    query = endpoint.received[0].query
    assert (query["language"], query["format"], query["profanity"]) == ("fr-FR", "simple", "raw")
    assert (query["cid"], query["a.b"], query["e"]) == ("model-1", "c&d", "")
    assert "wordLevelTimestamps" not in query


def test_a_custom_model_hears_its_own_language_only(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock, AZURE_SPEECH_ENDPOINT_ID="en-US=0f1e2d3c;fr-FR=4b5a6978")
    for language in ("en-US", "fr-FR", "de-DE"):
        caller.options = RecognitionOptions(language, "masked")
        caller()
    assert [request.query.get("cid") for request in endpoint.received] == ["0f1e2d3c", "4b5a6978", None]


def test_consecutive_requests_share_one_connection(either: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(either, clock)
    for _ in range(5):
        caller()
    assert either.connections == 1


def test_times_as_strings_are_understood(clock: FakeClock) -> None:
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY, behaviour=Behaviour(ticks="strings")) as endpoint:
        phrase = Caller(endpoint, clock)().phrase
    assert phrase is not None
    assert phrase.words[0].offset == pytest.approx(0.1)


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize("early", [0, 100_000])
def test_a_key_that_is_refused_during_the_upload_is_a_configuration_error(
    either: SpeechEndpoint, clock: FakeClock, early: int, abrupt: bool
) -> None:
    body = b'{"error": {"code": "401", "message": "Access denied for ' + SPEECH_KEY.encode() + b'."}}'
    for _ in range(10):
        either.faults.append(Fault.early(401, body, body_bytes=early, abrupt=abrupt))
        caller = Caller(either, clock)
        with pytest.raises(Misconfigured) as caught:
            caller(MINUTE)
        assert "key was refused" in str(caught.value)
        assert "answered 401: (not shown: it repeats the key)" in str(caught.value)
        assert "AZURE_SPEECH_KEY" in str(caught.value)
        assert SPEECH_KEY not in repr(caught.value)
        assert caller.usage.requests == 1
    assert clock.slept == []


def test_the_wait_that_an_early_429_asks_for_is_honoured(either: SpeechEndpoint, clock: FakeClock) -> None:
    either.faults.append(Fault.early(429, b"slow down", {"Retry-After": "7"}, body_bytes=70_000, abrupt=True))
    assert Caller(either, clock)(MINUTE).phrase is not None
    assert clock.slept == [7.0]


def test_every_try_sends_the_whole_body_again(either: SpeechEndpoint, clock: FakeClock) -> None:
    either.faults.extend([Fault.status(503), Fault.reset("during"), Fault.close(), Fault.none()])
    caller = Caller(either, clock)
    assert caller(MINUTE).phrase is not None
    first, _, third, last = either.received
    assert first.audio == third.audio == last.audio == MINUTE.header + MINUTE.body
    assert caller.usage.requests == 4
    assert len(set(caller.usage.connection_ids)) == 4


@pytest.mark.parametrize(
    "fault",
    [
        Fault.reset("before"),
        Fault.reset("during"),
        Fault.reset("after"),
        Fault.close(),
        Fault.truncated(),
        Fault.cut_json(),
        Fault.empty(),
        Fault.garbage(),
        Fault.document({"RecognitionStatus": "Error"}),
        *(Fault.status(status) for status in (408, 429, 500, 502, 503, 504)),
    ],
    ids=repr,
)
def test_a_temporary_failure_is_retried(either: SpeechEndpoint, clock: FakeClock, fault: Fault) -> None:
    either.faults.append(fault)
    answer = Caller(either, clock)(MINUTE)
    assert answer.phrase is not None
    assert answer.phrase.text == "Hello world."
    assert len(either.received) == 2


@pytest.mark.parametrize("status", [400, 402, 405, 413, 415])
def test_a_refused_request_is_final(endpoint: SpeechEndpoint, clock: FakeClock, status: int) -> None:
    endpoint.faults.append(Fault.status(status, b"Invalid  audio\r\nformat"))
    with pytest.raises(RequestRefused, match=f"answered {status}: Invalid audio format"):
        Caller(endpoint, clock)()
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_wrong_deployment_is_a_configuration_error_and_not_retried(
    endpoint: SpeechEndpoint, clock: FakeClock, status: int
) -> None:
    endpoint.faults.append(Fault.status(status, b"Quota exceeded"))
    with pytest.raises(Misconfigured, match="Quota exceeded"):
        Caller(endpoint, clock)()
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_reported_and_not_followed(endpoint: SpeechEndpoint, clock: FakeClock, status: int) -> None:
    with SpeechEndpoint(Script(hello_world)) as elsewhere:
        target = elsewhere.url + "/speech/recognition/conversation/cognitiveservices/v1"
        endpoint.faults.append(Fault.redirect(target, status))
        with pytest.raises(Misconfigured, match=f"{status}, a redirect to {target}"):
            Caller(endpoint, clock)()
        assert elsewhere.received == [], "a redirect that is followed sends the key there"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_retry_after_is_honoured_if_it_is_a_time_ahead(endpoint: SpeechEndpoint, clock: FakeClock, status: int) -> None:
    def waited(retry_after: str | None) -> float:
        clock.slept.clear()
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        endpoint.faults.append(Fault.status(status, headers=headers))
        Caller(endpoint, clock)()
        return sum(clock.slept)

    assert waited("9") == 9.0
    assert waited(format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)) == pytest.approx(40, abs=1)
    for backoff in (
        None,
        "",
        "0",
        "-5",
        "soon",
        "1e3",
        AGES_AHEAD,
        format_datetime(clock.now() - timedelta(seconds=40)),
    ):
        if status in NO_ROOM:
            assert waited(backoff) == 0, "there was room for other requests"
        else:
            assert 0.75 <= waited(backoff) <= 1.25


@pytest.mark.parametrize("retry_after", ["601", "99999999999999999999"])
def test_a_retry_after_beyond_the_budget_ends_the_retries_at_once(
    endpoint: SpeechEndpoint, clock: FakeClock, retry_after: str
) -> None:
    endpoint.faults.append(Fault.status(429, b"busy", {"Retry-After": retry_after}))
    with pytest.raises(Exhausted, match="429: busy"):
        Caller(endpoint, clock)()
    assert clock.slept == []
    assert len(endpoint.received) == 1


def test_a_token_is_fetched_once_and_sent_instead_of_the_key(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")
    caller()
    caller()
    issued, first, second = endpoint.received
    assert (issued.path, issued.audio) == ("/sts/v1.0/issueToken", b"")
    assert first.headers["authorization"] == second.headers["authorization"]
    assert "ocp-apim-subscription-key" not in first.headers


def test_a_refused_token_is_renewed_once(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")
    caller()
    endpoint.revoke_tokens()
    assert caller().phrase is not None
    assert [request.status for request in endpoint.received] == [200, 200, 401, 200, 200]
    assert clock.slept == []


def test_a_wrong_key_is_a_configuration_error_with_tokens_too(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock, AZURE_SPEECH_AUTH="token", AZURE_SPEECH_KEY="wrong-but-still-secret")
    with pytest.raises(Misconfigured, match="The key was refused") as caught:
        caller()
    assert "wrong-but-still-secret" not in str(caught.value)
    assert len(endpoint.received) == 1


def test_a_token_request_that_fails_is_retried(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    path = "/sts/v1.0/issueToken"
    endpoint.faults.extend([Fault.status(503).at(path), Fault.empty().at(path), Fault.reset().at(path)])
    assert Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")().phrase is not None
    assert len(clock.slept) == 3


def test_an_untrusted_certificate_is_a_configuration_error(
    tls_endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(Misconfigured, match="certificate"):
        Caller(tls_endpoint, clock)()


def test_an_endpoint_that_refuses_connections_is_retried_until_the_budget_ends(clock: FakeClock) -> None:
    with SpeechEndpoint(Script(hello_world)) as endpoint:
        caller = Caller(endpoint, clock)
    with pytest.raises(Exhausted, match="ConnectionRefusedError: Connection refused"):
        caller()
    assert caller.usage.requests > 5


def test_no_more_requests_are_in_flight_than_the_setting_allows(clock: FakeClock) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def words(pcm: bytes, language: str) -> list[Word]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.02)
        with lock:
            now[0] -= 1
        return [Word("hello", 0.1, 0.4)]

    with SpeechEndpoint(Script(words), key=SPEECH_KEY) as endpoint:
        caller = Caller(endpoint, clock, SPEECH_MAX_CONCURRENT_REQUESTS="3")
        threads = [threading.Thread(target=caller) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(endpoint.received) == 12
        assert endpoint.connections == 3
    assert most[0] == 3


def test_no_secret_is_logged_or_raised(
    endpoint: SpeechEndpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[Exception] = []
    caplog.set_level(logging.DEBUG)
    for fault in (Fault.reset("during"), Fault.status(500), Fault.status(400), Fault.status(401), Fault.garbage()):
        endpoint.faults.append(fault)
        caller = Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")
        try:
            caller()
        except (RequestRefused, Misconfigured) as error:
            raised.append(error)
    tokens = {request.headers["authorization"][7:] for request in endpoint.received if request.query}
    assert tokens
    assert [type(error) for error in raised] == [Misconfigured]
    assert raised[0].__cause__ is None, "a cause would carry the request, and so the key"
    for secret in (SPEECH_KEY, *tokens):
        assert secret not in caplog.text + repr(raised)


def test_an_answer_that_repeats_the_token_is_not_shown(endpoint: SpeechEndpoint, clock: FakeClock) -> None:
    caller = Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")
    caller()
    token = endpoint.received[-1].headers["authorization"][7:]
    endpoint.faults.append(Fault.status(400, f"bad token {token} !".encode()))
    with pytest.raises(RequestRefused, match=r"answered 400: \(not shown: it repeats the key\)"):
        caller()


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    before=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    secret=st.sampled_from([SPEECH_KEY, "c0de1c0de1c0de1", "c0de2-c0de2-c0de2"]),
    status=st.sampled_from([307, 400, 401, 404, 503]),
    in_token_answer=st.booleans(),
)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_answer_that_repeats_a_secret_is_shown_or_logged(
    endpoint: SpeechEndpoint,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    encoding: str,
    before: str,
    secret: str,
    status: int,
    in_token_answer: bool,
) -> None:
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    body = ENCODINGS[encoding](f"{before} {secret} !")
    headers = {"Location": "https://elsewhere.example/" + quote(body)} if status == 307 else {}
    fault = Fault.status(status, body, headers)
    endpoint.faults.append(fault.at("/sts/v1.0/issueToken") if in_token_answer else fault)
    caller = Caller(
        endpoint,
        clock,
        AZURE_SPEECH_AUTH="token" if in_token_answer else "key",
        AZURE_SPEECH_QUERY="subscription-key=c0de1c0de1c0de1",
        AZURE_SPEECH_ENDPOINT_ID="c0de2-c0de2-c0de2",
    )
    message = ""
    try:
        caller()
    except (RequestRefused, Misconfigured) as error:
        message = str(error)
    assert f"answered {status}" in message + caplog.text
    assert NOT_SHOWN in message + caplog.text
    assert shown_run(secret, message + caplog.text) == ""


@pytest.mark.parametrize(
    "answer",
    [
        b"%b\r\n\r\n",
        b"HTTP/1.1 503 %b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Go\r\nLocation: https://elsewhere.example/?%b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n{}",
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"RecognitionStatus": "%b"}',
    ],
)
def test_a_key_in_any_part_of_an_answer_is_masked(
    endpoint: SpeechEndpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.faults.append(Fault.garbage(answer % SPEECH_KEY.encode()))
    message = ""
    try:
        Caller(endpoint, clock)()
    except (RequestRefused, Misconfigured) as error:
        message = str(error)
    assert message + caplog.text
    assert SPEECH_KEY not in message + caplog.text


@pytest.mark.parametrize("encoding", ["plain", "spaced", "HTML entities"])
@pytest.mark.parametrize("secret", [SPEECH_KEY, "c0de1c0de1c0de1"])
def test_a_transcript_that_repeats_a_secret_is_requested_again(
    endpoint: SpeechEndpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture, secret: str, encoding: str
) -> None:
    display = "Hello " + ENCODINGS[encoding](secret).decode()
    body = json.dumps({"RecognitionStatus": "Success", "Duration": 1, "NBest": [{"Display": display}]}).encode()
    endpoint.faults.append(Fault.status(200, body))
    answer = Caller(endpoint, clock, AZURE_SPEECH_QUERY="code=c0de1c0de1c0de1")()
    assert answer.phrase is not None
    assert answer.phrase.text == "Hello world."
    assert "the service's answer repeats the key" in caplog.text


def test_a_network_failure_has_no_cause_that_holds_the_request(
    endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's errors hold the request's headers, and so the key."""
    raised: list[BaseException] = []
    original = Retryable.__init__

    def recorded(error: Retryable, *args: Any) -> None:
        raised.append(error)
        original(error, *args)

    monkeypatch.setattr(Retryable, "__init__", recorded)
    endpoint.faults.extend([Fault.reset("during"), Fault.close(), Fault.garbage()])
    Caller(endpoint, clock)()
    assert len(raised) == 3
    assert all(error.__cause__ is None and error.__suppress_context__ for error in raised)


@pytest.mark.parametrize("pieces", [1, 2, 7, 500])
def test_an_answer_is_complete_however_it_is_chunked(endpoint: SpeechEndpoint, clock: FakeClock, pieces: int) -> None:
    text = "word " * 2000
    answer = json.dumps({"RecognitionStatus": "Success", "Offset": 0, "Duration": 1, "DisplayText": text}).encode()
    size = -(-len(answer) // pieces)
    chunks = [answer[start : start + size] for start in range(0, len(answer), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in chunks) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    endpoint.faults.append(Fault.garbage(head + body))
    phrase = Caller(endpoint, clock)().phrase
    assert phrase is not None
    assert phrase.text == text.strip()
    assert clock.slept == []


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_an_answer_that_is_too_long_is_retried(
    endpoint: SpeechEndpoint, clock: FakeClock, encoding: str | None
) -> None:
    """Apart from its length, it is a right answer. A packed one is too long if it unpacks to that much."""
    answer = b'{"RecognitionStatus":"Success","Offset":0,"Duration":20000000,"DisplayText":"Padded."}'
    answer += b" " * (MAX_ANSWER_BYTES + 1)
    packed = gzip.compress(answer) if encoding else answer
    endpoint.faults.append(Fault.status(200, packed, {"Content-Encoding": encoding} if encoding else {}))
    phrase = Caller(endpoint, clock)().phrase
    assert phrase is not None
    assert phrase.text == "Hello world."
    assert len(clock.slept) == 1


def test_an_answer_that_drips_ends_with_its_time(endpoint: SpeechEndpoint) -> None:
    """This runs on the real clock: it checks that nobody waits for the end of a slow answer."""
    endpoint.faults.extend([Fault.dripping(0.05)] * 100)
    caller = Caller(endpoint, FakeClock())
    caller.budget = Budget(SystemClock(), 0.5, "a.wav")
    started = time.monotonic()
    with pytest.raises(Exhausted, match=r"too slowly|no answer"):
        caller()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_any_refusal_of_the_token_host_is_a_configuration_error_that_suggests_the_key(
    either: SpeechEndpoint, clock: FakeClock, status: int
) -> None:
    either.faults.append(Fault.status(status, b"Forbidden").at("/sts/v1.0/issueToken"))
    with pytest.raises(Misconfigured, match=f"issueToken answered {status}: Forbidden.*AZURE_SPEECH_AUTH to key"):
        Caller(either, clock, AZURE_SPEECH_AUTH="token")()


@pytest.mark.parametrize(
    "body",
    [
        b'{"Message":"Invalid CID or language"}',
        b'{"code":"InvalidLocale","message":"The locale is not supported."}',
        b'{"error":{"code":"400","message":"Bad request"}}',
        b"",
    ],
)
def test_a_400_that_is_not_about_the_audio_is_a_configuration_error(
    endpoint: SpeechEndpoint, clock: FakeClock, body: bytes
) -> None:
    endpoint.faults.append(Fault.status(400, body))
    with pytest.raises(Misconfigured, match="SPEECH_LANGUAGE"):
        Caller(endpoint, clock)()
    assert len(endpoint.received) == 1


def test_a_400_without_words_about_one_clip_of_many_is_about_that_clip(
    endpoint: SpeechEndpoint, clock: FakeClock
) -> None:
    """The service has answered the same language and model before."""
    caller = Caller(endpoint, clock)
    caller()
    endpoint.faults.append(Fault.status(400))
    with pytest.raises(RequestRefused):
        caller()
    endpoint.faults.append(Fault.status(400, INVALID_LANGUAGE))
    with pytest.raises(Misconfigured):
        caller()


@pytest.mark.parametrize("token", [b"", b"two words", b"\xff\xfe", "tøken".encode()])
def test_an_answer_that_is_not_a_token_is_retried(endpoint: SpeechEndpoint, clock: FakeClock, token: bytes) -> None:
    endpoint.faults.append(Fault.status(200, token).at("/sts/v1.0/issueToken"))
    assert Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")().phrase is not None
    assert len(clock.slept) == 1


@pytest.mark.parametrize("changes", [{"SPEECH_WORD_TIMES": "false"}, {"SPEECH_FORMAT": "simple"}])
def test_word_times_are_requested_only_if_they_are_wanted_and_supported(
    endpoint: SpeechEndpoint, clock: FakeClock, changes: dict[str, str]
) -> None:
    phrase = Caller(endpoint, clock, **changes)().phrase
    assert phrase is not None
    assert phrase.words == ()
    assert "wordLevelTimestamps" not in endpoint.received[0].query


def test_a_netrc_file_does_not_replace_the_token(
    endpoint: SpeechEndpoint, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert Caller(endpoint, clock, AZURE_SPEECH_AUTH="token")().phrase is not None
    assert endpoint.received[-1].headers["authorization"].startswith("Bearer ")


def test_a_missing_ca_bundle_is_a_configuration_error(
    endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(Misconfigured, match="REQUESTS_CA_BUNDLE"):
        Caller(endpoint, clock)
