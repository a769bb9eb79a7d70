"""Failed requests are retried with growing waits until the budget ends. The clock is fake, so nothing here waits."""

import logging

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, Retryable
from transcription.speech.retries import MAX_WAIT, retry_within


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


def test_waits_double_until_the_failure_passes(clock: FakeClock) -> None:
    attempt = Flaky(*(Retryable("busy") for _ in range(6)))
    assert retry_within(Budget(clock, 3000, "a.wav"), attempt) == "answer"
    assert attempt.calls == 7
    assert len(clock.slept) == 6
    for doubled, slept in enumerate(clock.slept):
        assert 0.75 * 2**doubled <= slept <= 1.25 * 2**doubled


def test_no_wait_is_longer_than_the_service_advises(clock: FakeClock) -> None:
    retry_within(Budget(clock, 3000, "a.wav"), Flaky(*(Retryable("busy") for _ in range(12))))
    assert 0.75 * MAX_WAIT <= max(clock.slept) <= 1.25 * MAX_WAIT


def test_waits_have_jitter_so_that_clips_do_not_return_together() -> None:
    clocks = [FakeClock() for _ in range(20)]
    for clock in clocks:
        retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("busy")))
    assert len({clock.slept[0] for clock in clocks}) > 10


def test_the_wait_is_what_the_service_asks_for(clock: FakeClock) -> None:
    retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("busy", 17.0), Retryable("busy", 5.0)))
    assert clock.slept == [17.0, 5.0]


@pytest.mark.parametrize("wait", [60.0, 61.0])
def test_a_wait_that_would_leave_nothing_of_the_budget_is_not_started(clock: FakeClock, wait: float) -> None:
    attempt = Flaky(Retryable("429: too many", wait))
    with pytest.raises(Exhausted, match="429: too many"):
        retry_within(Budget(clock, 60, "a.wav"), attempt)
    assert (attempt.calls, clock.slept) == (1, [])


def test_retries_end_with_the_budget(clock: FakeClock) -> None:
    attempt = Flaky(*(Retryable("down") for _ in range(1000)))
    with pytest.raises(Exhausted, match="down"):
        retry_within(Budget(clock, 300, "a.wav"), attempt)
    assert sum(clock.slept) < 300
    assert sum(clock.slept) > 120


def test_errors_that_are_not_retryable_pass_through_at_once(clock: FakeClock) -> None:
    attempt = Flaky(Misconfigured("key"))
    with pytest.raises(Misconfigured):
        retry_within(Budget(clock, 60, "a.wav"), attempt)
    assert attempt.calls == 1


def test_each_retry_is_logged_as_a_warning_with_its_reason(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    retry_within(Budget(clock, 60, "a.wav"), Flaky(Retryable("the service answered 503", 2.0)))
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "'a.wav': retrying in 2.0 s (try 2): the service answered 503")
    ]
