"""Waiting, giving up, and whose turn it is. The clock is ours: nothing here waits."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, Retryable
from transcription.speech.concurrency import FairLimiter
from transcription.speech.retries import LONGEST_WAIT, retry_within


class Flaky:
    """Fails with each of the errors in turn, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_a_passing_failure_is_waited_out_with_growing_waits(clock: FakeClock) -> None:
    attempt = Flaky(*(Retryable("busy") for _ in range(6)))
    assert retry_within(Budget(clock, 3000, "a.wav"), attempt) == "answer"
    assert attempt.calls == 7
    assert len(clock.slept) == 6
    for doubled, slept in enumerate(clock.slept):
        assert 0.75 * 2**doubled <= slept <= 1.25 * 2**doubled


def test_no_wait_is_longer_than_the_services_own_advice(clock: FakeClock) -> None:
    retry_within(Budget(clock, 3000, "a.wav"), Flaky(*(Retryable("busy") for _ in range(12))))
    assert 0.75 * LONGEST_WAIT <= max(clock.slept) <= 1.25 * LONGEST_WAIT


def test_waits_differ_so_that_clips_do_not_come_back_together() -> None:
    clocks = [FakeClock() for _ in range(20)]
    for clock in clocks:
        retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("busy")))
    assert len({clock.slept[0] for clock in clocks}) > 10


def test_what_the_service_asks_for_is_waited(clock: FakeClock) -> None:
    retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("busy", 17.0), Retryable("busy", 5.0)))
    assert clock.slept == [17.0, 5.0]


def test_a_wait_that_outlasts_the_budget_is_not_begun(clock: FakeClock) -> None:
    attempt = Flaky(Retryable("429: too many", 61.0))
    with pytest.raises(Exhausted, match="429: too many"):
        retry_within(Budget(clock, 60, "a.wav"), attempt)
    assert (attempt.calls, clock.slept) == (1, [])


def test_the_budget_ends_the_tries(clock: FakeClock) -> None:
    attempt = Flaky(*(Retryable("down") for _ in range(1000)))
    with pytest.raises(Exhausted, match="down"):
        retry_within(Budget(clock, 300, "a.wav"), attempt)
    assert sum(clock.slept) < 300
    assert sum(clock.slept) > 120


def test_other_errors_pass_at_the_first_try(clock: FakeClock) -> None:
    attempt = Flaky(Misconfigured("key"))
    with pytest.raises(Misconfigured):
        retry_within(Budget(clock, 60, "a.wav"), attempt)
    assert attempt.calls == 1


def test_each_retry_is_a_warning_with_its_reason(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("the service answered 503", 2.0)))
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "'a.wav': retrying in 2.0 s (try 2): the service answered 503")
    ]


class Visitors:
    """Threads that each want one turn, and go in and out only as the test says."""

    def __init__(self, limiter: FairLimiter, clock: FakeClock) -> None:
        self.limiter = limiter
        self.budget = Budget(clock, 60, "a.wav")
        self.inside: list[str] = []
        self._changed = threading.Condition()
        self._leave: list[threading.Event] = []
        self._threads: list[threading.Thread] = []

    def enters(self, recording: str) -> threading.Event:
        leave = threading.Event()

        def turn() -> None:
            with self.limiter.place(recording, self.budget):
                with self._changed:
                    self.inside.append(recording)
                    self._changed.notify_all()
                leave.wait(10)

        thread = threading.Thread(target=turn)
        thread.start()
        self._threads.append(thread)
        self._leave.append(leave)
        return leave

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout=10)

    def waiting(self, count: int) -> None:
        """Until `count` threads are queueing, which only the limiter itself knows."""
        for _ in range(1000):
            if self.limiter.waiting == count:
                return
            threading.Event().wait(0.005)
        raise AssertionError(f"{self.limiter.waiting} wait instead of {count}")

    def end(self) -> None:
        for leave in self._leave:
            leave.set()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def visitors(clock: FakeClock) -> Iterator[Visitors]:
    visitors = Visitors(FairLimiter(2), clock)
    yield visitors
    visitors.end()


def test_no_more_than_the_cap_are_inside(visitors: Visitors) -> None:
    first = visitors.enters("a")
    visitors.enters("b")
    visitors.wait(lambda: len(visitors.inside) == 2)
    visitors.enters("c")
    visitors.waiting(1)
    assert visitors.inside == ["a", "b"]
    first.set()
    visitors.wait(lambda: visitors.inside == ["a", "b", "c"])


def test_a_free_place_goes_to_the_recording_with_the_fewest_requests(visitors: Visitors) -> None:
    first = visitors.enters("long")
    visitors.wait(lambda: visitors.inside == ["long"])
    visitors.enters("long")
    visitors.wait(lambda: visitors.inside == ["long"] * 2)
    for waiting, recording in enumerate(["long", "long", "short"], start=1):
        visitors.enters(recording)
        visitors.waiting(waiting)
    first.set()
    visitors.wait(lambda: len(visitors.inside) == 3)
    assert visitors.inside[2] == "short"


def test_a_place_is_given_back_whatever_happens_inside(clock: FakeClock) -> None:
    limiter = FairLimiter(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"), limiter.place("a", Budget(clock, 60, "a.wav")):
            raise ValueError("inside")


def test_waiting_for_a_place_ends_with_the_budget(clock: FakeClock) -> None:
    limiter, spent = FairLimiter(1), Budget(clock, 1, "a.wav")
    clock.sleep(2)
    refused = pytest.raises(Exhausted, match="limit of requests in flight")
    with limiter.place("a", Budget(clock, 60, "a.wav")), refused, limiter.place("b", spent):
        pass
    with limiter.place("c", Budget(clock, 60, "a.wav")):
        pass
