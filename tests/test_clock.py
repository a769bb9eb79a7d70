"""A budget limits the time of one recording, including all waiting."""

import threading
import time

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted


def test_time_that_passes_reduces_the_budget(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    budget.sleep(20)
    clock.sleep(10)
    assert budget.left() == 30


def test_a_check_fails_only_when_the_time_is_up(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    clock.sleep(59)
    budget.check()
    clock.sleep(1)
    with pytest.raises(Exhausted, match="no time left"):
        budget.check()


def test_a_part_has_the_time_that_is_left(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    clock.sleep(45)
    assert budget.part().left() == 15


def test_ending_a_part_does_not_end_the_whole(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    part = budget.part()
    part.end()
    assert (part.left(), budget.left()) == (0, 60)


def test_an_ended_budget_has_no_time_left(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    budget.end()
    assert budget.left() == 0
    with pytest.raises(Exhausted):
        budget.check()


def test_the_error_names_the_setting_and_the_reason(clock: FakeClock) -> None:
    error = Budget(clock, 90, "a.wav").exhausted("The service was down.")
    assert str(error) == "Gave up after 1.5 minutes of trying (MAX_PROCESSING_MINUTES). The service was down."


def test_ending_a_budget_wakes_a_thread_that_sleeps() -> None:
    budget = Budget(SystemClock(), 60, "a.wav")
    sleeper = threading.Thread(target=budget.sleep, args=(30,))
    started = time.monotonic()
    sleeper.start()
    budget.end()
    sleeper.join(30)
    assert time.monotonic() - started < 5


def test_the_system_clock_knows_its_time_zone() -> None:
    assert SystemClock().now().tzinfo is not None


def test_the_system_clock_sleeps_for_the_full_time_unless_woken() -> None:
    clock = SystemClock()
    started = clock.monotonic()
    clock.sleep(0.05, threading.Event())
    assert clock.monotonic() - started >= 0.04
