"""Clips wait in one queue for the process, without a thread, and come back to it when they were refused."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, Refused, Retryable
from transcription.speech.dispatcher import LOG_SECONDS, MAX_HELD, Dispatcher
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO


class Clip:
    """A task that sends what a test tells it to."""

    def __init__(self, requester: Requester, send: Callable[[], bool], number: int = 5) -> None:
        self.requester = requester
        self.number = number
        self.done: Future[None] = Future()
        self._send = send

    def send(self) -> bool:
        more = self._send()
        if not more:
            self.done.set_result(None)
        return more

    def fail(self, error: BaseException) -> None:
        self.done.set_exception(error)


def in_turn(*results: bool | Exception) -> Callable[[], bool]:
    """Return a request that has each of these results in turn, and then is answered."""
    left = list(results)

    def send() -> bool:
        result = left.pop(0) if left else False
        if isinstance(result, Exception):
            raise result
        return result

    return send


@pytest.fixture
def dispatcher(clock: FakeClock) -> Dispatcher:
    return Dispatcher(8, clock)


@pytest.fixture
def requester(clock: FakeClock) -> Requester:
    return Requester(LONG_AGO, Budget(clock, 600, "a.wav"))


@contextmanager
def held_requests(dispatcher: Dispatcher, requester: Requester, count: int) -> Iterator[None]:
    """Keep so many requests in flight."""
    release, began = threading.Event(), threading.Semaphore(0)

    def send() -> bool:
        began.release()
        return not release.wait(30)

    clips = [Clip(requester, send) for _ in range(count)]
    for clip in clips:
        dispatcher.submit(clip)
    for _ in clips:
        assert began.acquire(timeout=10)
    yield
    release.set()
    for clip in clips:
        clip.done.result(10)


def test_a_clip_with_several_requests_is_sent_until_none_is_left(dispatcher: Dispatcher, requester: Requester) -> None:
    clip = Clip(requester, in_turn(True, True, True))
    dispatcher.submit(clip)
    clip.done.result(10)
    assert dispatcher.answers == 4


def test_a_refused_clip_is_sent_again_without_a_wait_of_its_own(
    dispatcher: Dispatcher, requester: Requester, clock: FakeClock
) -> None:
    clip = Clip(requester, in_turn(Refused("no room")))
    dispatcher.submit(clip)
    clip.done.result(10)
    assert clock.slept == []


def test_all_clips_wait_as_long_as_the_service_asks(
    dispatcher: Dispatcher, requester: Requester, clock: FakeClock
) -> None:
    clip = Clip(requester, in_turn(Refused("no room", 7.0)))
    dispatcher.submit(clip)
    clip.done.result(10)
    assert clock.slept == [7.0]


def test_a_clip_that_failed_waits_longer_each_time(
    dispatcher: Dispatcher, requester: Requester, clock: FakeClock
) -> None:
    clip = Clip(requester, in_turn(*[Retryable("reset")] * 3))
    dispatcher.submit(clip)
    clip.done.result(10)
    for expected, slept in zip((1, 2, 4), clock.slept, strict=True):
        assert 0.75 * expected <= slept <= 1.25 * expected


def test_a_failure_keeps_no_other_clip_waiting(dispatcher: Dispatcher, requester: Requester, clock: FakeClock) -> None:
    with held_requests(dispatcher, requester, 1):
        failing, other = Clip(requester, in_turn(Retryable("reset", 60.0))), Clip(requester, in_turn())
        dispatcher.submit(failing)
        dispatcher.submit(other)
        other.done.result(10)
        assert not failing.done.done()
        assert clock.slept == []
    failing.done.result(10)
    assert clock.slept == [60.0]


def test_an_error_that_no_retry_helps_goes_to_the_clip(dispatcher: Dispatcher, requester: Requester) -> None:
    clip = Clip(requester, in_turn(Misconfigured("wrong key")))
    dispatcher.submit(clip)
    with pytest.raises(Misconfigured):
        clip.done.result(10)


def test_clips_end_with_an_error_if_no_thread_can_be_started(
    dispatcher: Dispatcher, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    clip = Clip(requester, in_turn())
    with monkeypatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", refuse)
        dispatcher.submit(clip)
        with pytest.raises(RuntimeError, match="can't start"):
            clip.done.result(10)
    later = Clip(requester, in_turn())
    dispatcher.submit(later)
    later.done.result(10)


def test_no_more_requests_are_in_flight_than_the_limit_allows(dispatcher: Dispatcher, requester: Requester) -> None:
    sent = threading.Event()

    def send() -> bool:
        sent.set()
        return False

    with held_requests(dispatcher, requester, 4):  # the slow start's first limit
        fifth = Clip(requester, send)
        dispatcher.submit(fifth)
        assert not sent.wait(0.1)
    fifth.done.result(10)


def test_waiting_for_a_place_takes_no_cpu_time(requester: Requester) -> None:
    class CountingClock(FakeClock):
        waits = 0

        def wait(self, event: threading.Event, seconds: float | None) -> None:
            self.waits += 1
            event.wait(seconds)

    clock = CountingClock()
    dispatcher = Dispatcher(1, clock)
    with held_requests(dispatcher, requester, 1):
        waiting = Clip(requester, in_turn())
        dispatcher.submit(waiting)
        threading.Event().wait(0.2)
        assert clock.waits < 10
    waiting.done.result(10)


def test_refusals_lower_the_limit_for_all(clock: FakeClock) -> None:
    dispatcher = Dispatcher(64, clock)
    requester = Requester(LONG_AGO, Budget(clock, 600, "a.wav"))
    refused = Clip(requester, in_turn(Refused("no room")))
    dispatcher.submit(refused)
    refused.done.result(10)
    with held_requests(dispatcher, requester, 2):
        third = Clip(requester, in_turn())
        dispatcher.submit(third)
        assert not third.done.done()
    third.done.result(10)


def test_clips_of_a_stopped_recording_end_with_its_error(dispatcher: Dispatcher, requester: Requester) -> None:
    with held_requests(dispatcher, requester, 4):
        stopped = Requester(LONG_AGO, requester.budget)
        clips = [Clip(stopped, in_turn()) for _ in range(3)]
        for clip in clips:
            dispatcher.submit(clip)
        stopped.stop(Misconfigured("wrong key"))
        dispatcher.wake()
        for clip in clips:
            with pytest.raises(Misconfigured):
                clip.done.result(10)


def test_a_recording_ends_when_its_time_is_over(dispatcher: Dispatcher, clock: FakeClock) -> None:
    requester = Requester(LONG_AGO, Budget(clock, 60, "a.wav"))
    clip = Clip(requester, in_turn(*[Refused("no room", 5.0)] * 1000))
    dispatcher.submit(clip)
    with pytest.raises(Exhausted, match="no room"):
        clip.done.result(10)
    assert 50 <= sum(clock.slept) <= 60


def test_a_wait_beyond_the_time_of_recordings_ends_them_at_once(dispatcher: Dispatcher, clock: FakeClock) -> None:
    short, long = (Requester(LONG_AGO, Budget(clock, seconds, f"{seconds}")) for seconds in (60, 6000))
    began, refuse = threading.Event(), threading.Event()
    outcomes = in_turn(Refused("no room", 300.0))

    def send() -> bool:
        began.set()
        refuse.wait(10)
        return outcomes()

    refused, waiting = Clip(long, send), Clip(short, in_turn())
    with held_requests(dispatcher, long, 3):
        dispatcher.submit(refused)
        assert began.wait(10)
        dispatcher.submit(waiting)  # there is no place for it
        refuse.set()
        with pytest.raises(Exhausted) as ended:
            waiting.done.result(10)
        assert ended.value.wait == 300.0
    refused.done.result(10)
    assert clock.slept == [300.0]


def test_the_process_holds_a_bounded_number_of_clips_but_one_of_each_recording(clock: FakeClock) -> None:
    dispatcher = Dispatcher(1, clock)
    first, second = (Requester(LONG_AGO, Budget(clock, 600, name)) for name in "ab")
    release = threading.Event()
    many = [Clip(first, lambda: not release.wait(30)) for _ in range(MAX_HELD)]
    for clip in many:
        dispatcher.submit(clip)
    own = Clip(second, in_turn())
    dispatcher.submit(own)  # would hang if it had to wait
    with ThreadPoolExecutor(1) as pool:
        blocked = pool.submit(dispatcher.submit, Clip(first, in_turn()))
        assert not blocked.done()
        release.set()
        blocked.result(10)
    for clip in [*many, own]:
        clip.done.result(10)


def test_room_goes_to_the_oldest_upload(clock: FakeClock) -> None:
    dispatcher, budget = Dispatcher(1, clock), Budget(clock, 600, "a")
    new, old = Requester(LONG_AGO + timedelta(1), budget), Requester(LONG_AGO, budget)
    step = threading.Semaphore(0)

    def take_a_step() -> bool:
        return not step.acquire(timeout=30)

    held = [Clip(requester, take_a_step) for requester in [old, old, *[new] * (MAX_HELD - 2)]]
    for clip in held:
        dispatcher.submit(clip)
    got_room: list[Requester] = []

    def apply(requester: Requester) -> None:
        dispatcher.submit(Clip(requester, take_a_step))  # frees no room by itself
        got_room.append(requester)

    applicants = [*[new] * 5, old]  # the last one would rarely be the first by chance
    with ThreadPoolExecutor(len(applicants)) as pool:
        waiting = [pool.submit(apply, requester) for requester in applicants]
        while not waiting[-1].running():
            threading.Event().wait(0.005)
        threading.Event().wait(0.1)
        step.release()
        try:
            waiting[-1].result(10)
            assert got_room == [old]
        finally:
            step.release(len(held) + len(applicants) - 1)
        for future in waiting:
            future.result(10)
    for clip in held:
        clip.done.result(10)


def test_refusals_are_logged_together_once_a_minute(
    dispatcher: Dispatcher, requester: Requester, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clip = Clip(requester, in_turn(*[Refused("no room", LOG_SECONDS / 3)] * 5))
    dispatcher.submit(clip)
    with caplog.at_level(logging.WARNING):
        clip.done.result(10)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"Speech refuses requests ({count} since the last such line): no room. At most {limit} are now sent at once."
        for count, limit in ((1, 2), (3, 1))
    ]
