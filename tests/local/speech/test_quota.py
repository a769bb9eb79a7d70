"""The endpoint accepts so many recognitions at once, from all clients together, and refuses the others at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
import requests

from local.speech import Fault, Script, SpeechEndpoint, Word
from local.speech.checks import Refusal
from local.speech.endpoint import TOKEN_PATH
from local.speech.quota import Quota
from tests.support.processes import eventually
from tests.support.speech_requests import HELLO_WORLD, Post, in_chunks, tone, wav


class Held:
    """A recogniser that keeps every clip until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def words(self, pcm: bytes, language: str) -> list[Word]:
        self.released.wait(10)
        return HELLO_WORLD


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def limited(held: Held) -> Iterator[SpeechEndpoint]:
    """Return an endpoint with a quota of two, which keeps each clip until `held` is released."""
    with SpeechEndpoint(held, quota=2, quota_retry_after=1) as endpoint:
        yield endpoint
        held.released.set()


def test_only_so_many_places_are_taken_and_each_is_free_again_afterwards() -> None:
    quota = Quota(2)
    with quota.place(), quota.place(), pytest.raises(Refusal) as refused, quota.place():
        pass
    with quota.place():
        pass
    assert (refused.value.status, refused.value.headers) == (429, {})
    assert (quota.answered, quota.refused, quota.most) == (3, 1, 2)


def test_a_recognition_that_fails_leaves_its_place_and_does_not_count_as_answered() -> None:
    quota = Quota(1)
    for _ in range(2):
        with pytest.raises(ConnectionResetError), quota.place():
            raise ConnectionResetError
    assert (quota.answered, quota.refused, quota.most) == (0, 0, 1)


def test_a_refusal_names_the_seconds_to_wait() -> None:
    with pytest.raises(Refusal) as refused, Quota(0, 3).place():
        pass
    assert refused.value.headers == {"Retry-After": "3"}


def test_without_a_number_every_recognition_gets_a_place() -> None:
    quota = Quota()
    with ExitStack() as places:
        for _ in range(1000):
            places.enter_context(quota.place())
    assert (quota.answered, quota.refused, quota.most) == (1000, 0, 1000)


def test_a_recognition_above_the_quota_is_refused_while_the_others_are_in_progress(
    limited: SpeechEndpoint, held: Held, post: Post
) -> None:
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(post, endpoint=limited) for _ in range(2)]
        eventually(lambda: limited.quota.most == 2)
        refused = post(endpoint=limited)
        held.released.set()
        answered = [future.result().status_code for future in sent]
    assert (refused.status_code, refused.headers["Retry-After"], answered) == (429, "1", [200, 200])
    assert (limited.quota.answered, limited.quota.refused, limited.quota.most) == (2, 1, 2)
    assert sorted(request.status for request in limited.received) == [200, 200, 429]


def test_a_refusal_does_not_wait_for_the_body(post: Post) -> None:
    read = threading.Event()

    def body() -> Iterator[bytes]:
        yield wav(tone(1.0))
        read.wait(10)  # until the refusal is recorded

    with SpeechEndpoint(Script(HELLO_WORLD), quota=0) as endpoint, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(post, body(), endpoint=endpoint)
        eventually(lambda: bool(endpoint.received and endpoint.received[0].status))
        read.set()
        assert sent.result().status_code == 429


def test_a_place_is_free_before_its_answer_is_sent(post: Post) -> None:
    with ThreadPoolExecutor(1) as pool, SpeechEndpoint(Script(HELLO_WORLD), quota=1) as endpoint:
        endpoint.faults.append(Fault.slow(60.0))
        sent = pool.submit(post, endpoint=endpoint)
        eventually(lambda: endpoint.quota.answered == 1)
        assert post(endpoint=endpoint).status_code == 200
        assert not sent.done()


@pytest.mark.parametrize("fault", [Fault.status(500), Fault.early(503), Fault.reset("before"), Fault.close()])
def test_a_fault_leaves_its_place(post: Post, fault: Fault) -> None:
    with SpeechEndpoint(Script(HELLO_WORLD), quota=1) as endpoint:
        endpoint.faults.append(fault)
        with suppress(requests.RequestException):
            post(endpoint=endpoint)
        eventually(lambda: endpoint.quota.answered == 1)
        assert endpoint.quota.refused == 0


def test_a_client_that_goes_in_the_middle_of_its_body_leaves_its_place(post: Post) -> None:
    def cut_off() -> Iterator[bytes]:
        yield wav(tone(1.0))
        raise OSError("the client goes")

    with SpeechEndpoint(Script(HELLO_WORLD), quota=1) as endpoint:
        with pytest.raises(OSError, match="the client goes"):
            post(cut_off(), endpoint=endpoint)
        eventually(lambda: bool(endpoint.received and endpoint.received[0].ended))
        eventually(lambda: post(endpoint=endpoint).status_code == 200)


def test_requests_for_tokens_and_bad_requests_take_no_place(limited: SpeechEndpoint, post: Post) -> None:
    token = post(b"", path=TOKEN_PATH, endpoint=limited)
    wrong = post(in_chunks(wav(tone(0.1))), "language=english", endpoint=limited)
    assert (token.status_code, wrong.status_code, limited.quota.most) == (200, 400, 0)
