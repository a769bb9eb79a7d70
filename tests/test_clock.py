"""The budget of one recording, on a clock that does not wait, and the machine's own clock."""

import threading
import time

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted


def test_a_budget_counts_the_time_spent_sleeping(clock: FakeClock) -> None:
    budget = Budget(clock, 60.0, "a.wav")
    budget.sleep(45.0)
    assert budget.left() == 15.0
    budget.check()


def test_a_spent_budget_allows_no_other_request(clock: FakeClock) -> None:
    budget = Budget(clock, 90.0, "a.wav")
    budget.sleep(90.0)
    with pytest.raises(Exhausted, match=r"1\.5 minutes .*MAX_PROCESSING_MINUTES.* no time left"):
        budget.check()


def test_an_ended_budget_has_no_time_left(clock: FakeClock) -> None:
    budget = Budget(clock, 60.0, "a.wav")
    budget.end()
    assert budget.left() == 0.0
    with pytest.raises(Exhausted):
        budget.check()


def test_ending_a_part_does_not_end_the_whole(clock: FakeClock) -> None:
    whole = Budget(clock, 60.0, "a.wav")
    whole.sleep(20.0)
    part = whole.part()
    assert part.left() == 40.0
    part.end()
    assert (part.left(), whole.left()) == (0.0, 40.0)


def test_ending_a_budget_wakes_whoever_sleeps() -> None:
    budget = Budget(SystemClock(), 3600.0, "a.wav")
    sleeper = threading.Thread(target=budget.sleep, args=(3600.0,))
    sleeper.start()
    budget.end()
    sleeper.join(30)
    assert not sleeper.is_alive()


def test_the_system_clock_sleeps_as_long_as_asked() -> None:
    clock, started = SystemClock(), time.monotonic()
    clock.sleep(0.02, threading.Event())
    assert time.monotonic() - started >= 0.015
    assert clock.now().tzinfo is not None
