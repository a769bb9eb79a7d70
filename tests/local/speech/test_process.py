"""The stand-in runs in a process of its own, and reports what it received."""

import hashlib

import requests

from local.speech.process import speech_process
from tests.support.speech_requests import HEADERS, PATH, in_chunks, tone, wav

KEY = "local-key"


def recognise(session: requests.Session, url: str, body: bytes) -> requests.Response:
    target = f"{url}{PATH}?language=en-US&format=detailed&wordLevelTimestamps=true"
    return session.post(target, data=in_chunks(body, 10_000), headers=HEADERS, timeout=10)


def test_every_clip_is_answered_with_hello_world_from_end_to_end(session: requests.Session) -> None:
    with speech_process(KEY) as service:
        answer = recognise(session, service.url, wav(tone(2.0))).json()
    assert (answer["RecognitionStatus"], answer["Offset"], answer["Duration"]) == ("Success", 0, 20_000_000)
    assert answer["NBest"][0]["Lexical"] == "hello world"


def test_requests_are_reported_without_their_audio(session: requests.Session) -> None:
    body = wav(tone(1.0))
    with speech_process(KEY) as service:
        assert service.received() == []
        recognise(session, service.url, body)
        recognise(session, service.url, body[:-2])
        first, second = service.received()
    assert (first.size, first.sha256, first.chunks) == (len(body), hashlib.sha256(body).hexdigest(), 4)
    assert (first.audio, first.path, first.query["language"]) == (b"", PATH, "en-US")
    assert (first.status, second.status, first.connection, second.connection) == (200, 400, 1, 1)
    assert 0 < first.started <= first.ended <= second.started


def test_the_answer_takes_as_long_as_the_latency_says(session: requests.Session) -> None:
    with speech_process(KEY, fixed=0.2, share=0.1) as service:
        recognise(session, service.url, wav(tone(2.0)))
        (request,) = service.received()
    assert request.ended - request.started >= 0.4


def test_another_key_is_refused(session: requests.Session) -> None:
    with speech_process("another-key") as service:
        assert recognise(session, service.url, wav(tone(0.1))).status_code == 401


def test_recognitions_above_the_quota_are_refused(session: requests.Session) -> None:
    with speech_process(KEY, quota=0, retry_after=7) as service:
        answer = recognise(session, service.url, wav(tone(0.1)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_a_retry_after_of_zero_is_sent(session: requests.Session) -> None:
    with speech_process(KEY, quota=0, retry_after=0) as service:
        assert recognise(session, service.url, wav(tone(0.1))).headers["Retry-After"] == "0"
