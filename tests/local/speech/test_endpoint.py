"""The endpoint serves the paths of the service, knows its key, records requests, and starts and stops cleanly."""

import hashlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from local.speech import RecognitionFailed, Script, SpeechEndpoint, Word
from tests.support.speech_requests import HELLO_WORLD, PATH, Post, in_chunks, tone, wav


@pytest.mark.parametrize("prefix", ["", "/stt"])
@pytest.mark.parametrize("mode", ["conversation", "interactive", "dictation"])
def test_every_mode_is_served_on_regional_and_custom_domain_paths(post: Post, prefix: str, mode: str) -> None:
    answer = post(path=f"{prefix}/speech/recognition/{mode}/cognitiveservices/v1")
    assert (answer.status_code, answer.json()["RecognitionStatus"]) == (200, "Success")


@pytest.mark.parametrize(
    "path",
    ["/", "/speech/recognition/karaoke/cognitiveservices/v1", "/speech/recognition/conversation", f"/v1{PATH}"],
)
def test_other_paths_are_not_found(post: Post, path: str) -> None:
    assert post(path=path).status_code == 404


def test_only_post_is_allowed(speech: SpeechEndpoint, session: requests.Session) -> None:
    answer = session.get(f"{speech.url}{PATH}?language=en-US", timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_the_recogniser_gets_the_samples_without_the_header_and_the_language(post: Post, script: Script) -> None:
    post(wav(tone(0.5)), "language=en-GB")
    assert script.calls == [(tone(0.5), "en-GB")]


def test_a_request_is_recorded_as_it_arrived(speech: SpeechEndpoint, post: Post) -> None:
    body = wav(tone(1.0))
    post(in_chunks(body, 10_000), "language=en-US&cid=a%20b")
    (received,) = speech.received
    assert (received.method, received.path, received.query) == ("POST", PATH, {"language": "en-US", "cid": "a b"})
    assert received.headers["ocp-apim-subscription-key"] == "local-key"
    assert (received.audio, received.chunks, received.status, received.connection) == (body, 4, 200, 1)
    assert 0 < received.started <= received.ended <= time.monotonic()


def test_without_keep_audio_a_request_keeps_only_hash_size_and_chunks(post: Post) -> None:
    body = wav(tone(1.0))
    with SpeechEndpoint(Script(HELLO_WORLD), keep_audio=False) as endpoint:
        post(in_chunks(body, 10_000), endpoint=endpoint)
        (received,) = endpoint.received
    assert (received.audio, received.size, received.chunks) == (b"", len(body), 4)
    assert received.sha256 == hashlib.sha256(body).hexdigest()


def test_hundreds_of_requests_at_once_are_served(speech: SpeechEndpoint, post: Post) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(wav(tone(0.05))).status_code, range(300)))
    assert answers == [200] * 300
    assert len(speech.received) == 300


def test_a_wrong_key_is_refused_in_the_words_of_the_service(post: Post) -> None:
    answer = post(ocp_apim_subscription_key="wrong")
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("Access denied due to invalid subscription key")


def test_a_request_without_any_authorisation_is_forbidden(post: Post) -> None:
    assert post(ocp_apim_subscription_key=None).status_code == 403


def test_a_failed_recognition_is_answered_with_the_status_error(post: Post) -> None:
    def broken(pcm: bytes, language: str) -> list[Word]:
        raise RecognitionFailed("out of order")

    with SpeechEndpoint(Script(broken)) as endpoint:
        answer = post(endpoint=endpoint)
    assert (answer.status_code, answer.json()) == (200, {"RecognitionStatus": "Error"})


def test_latency_depends_on_the_length_of_the_audio(post: Post) -> None:
    asked: list[float] = []

    def latency(seconds: float) -> float:
        asked.append(seconds)
        return 0.2

    with SpeechEndpoint(Script(HELLO_WORLD), latency=latency) as endpoint:
        post(endpoint=endpoint)
        (received,) = endpoint.received
    assert asked == [1.0]
    assert received.ended - received.started >= 0.2


def test_the_log_says_at_the_start_that_it_is_a_stand_in(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "local.speech"), SpeechEndpoint(Script()) as endpoint:
        pass
    assert [record.message for record in caplog.records] == [
        f"Speech stand-in on {endpoint.url}: a local imitation for trying and testing, not Azure's service"
    ]


def test_stop_ends_idle_connections_and_waits_and_leaves_no_thread(post: Post) -> None:
    before = set(threading.enumerate())
    endpoint = SpeechEndpoint(Script(HELLO_WORLD), latency=lambda seconds: 60.0)
    endpoint.start()
    with (
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=5) as idle,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(post, endpoint=endpoint)
        while not endpoint.received:
            time.sleep(0.01)
        started = time.monotonic()
        endpoint.stop()
        assert time.monotonic() - started < 2
        assert idle.recv(1) == b""
        assert isinstance(waiting.exception(5), requests.RequestException)
    assert set(threading.enumerate()) <= before | {threading.current_thread()}
