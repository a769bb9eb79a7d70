"""A budget limits the time of one recording, including all waiting."""

import threading

from tests.support.clock import FakeClock
from transcription.clock import Budget, SystemClock


def test_time_that_passes_reduces_the_budget(clock: FakeClock) -> None:
    budget = Budget(clock, 60, "a.wav")
    clock.sleep(20)
    assert budget.left() == 40


def test_an_error_after_the_budget_names_the_setting_and_the_reason(clock: FakeClock) -> None:
    budget = Budget(clock, 90, "a.wav")
    clock.sleep(90)
    assert (
        str(budget.exhausted("The service was down."))
        == "Not finished within 1.5 minutes (MAX_PROCESSING_MINUTES). The service was down."
    )


def test_an_error_within_the_budget_states_no_time_that_did_not_pass(clock: FakeClock) -> None:
    error = Budget(clock, 90, "a.wav").exhausted("The service was down.", 7200)
    assert str(error) == "The next request would come after MAX_PROCESSING_MINUTES. The service was down."
    assert error.wait == 7200


def test_the_system_clock_knows_its_time_zone() -> None:
    assert SystemClock().now().tzinfo is not None


def test_the_system_clock_sleeps_for_the_full_time_unless_woken() -> None:
    clock = SystemClock()
    started = clock.monotonic()
    clock.sleep(0.05, threading.Event())
    assert clock.monotonic() - started >= 0.04


def test_the_system_clock_waits_until_the_event_or_for_the_time() -> None:
    clock, happened = SystemClock(), threading.Event()
    started = clock.monotonic()
    clock.wait(happened, 0.05)
    assert clock.monotonic() - started >= 0.04
    happened.set()
    clock.wait(happened, 30)
    assert clock.monotonic() - started < 20
