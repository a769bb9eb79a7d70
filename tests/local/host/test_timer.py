"""Timer triggers: when a function is called, and how often."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

import pytest

from local.host.errors import WorkerDied, WorkerStopped
from local.host.functions import TimerTrigger
from local.host.timer import Timer
from tests.local.host.conftest import Start
from tests.support.clock import FakeClock
from tests.support.host_app import HostApp
from tests.support.manual_clock import ManualClock
from tests.support.processes import eventually

QUARTER = TimerTrigger("tick", "timer", "0 */15 * * * *")


def called_at(calls: int, answer: Callable[[FakeClock, int], str | None] = lambda _clock, _number: None) -> list[str]:
    """Run a timer for some calls, and return the time of day of each. `answer` is the function that it calls."""
    clock, stop = FakeClock(), threading.Event()
    times: list[datetime] = []

    def call() -> Future[str | None]:
        times.append(clock.now())
        if len(times) == calls:
            stop.set()
        answered: Future[str | None] = Future()
        try:
            answered.set_result(answer(clock, len(times)))
        except (WorkerDied, WorkerStopped) as error:
            answered.set_exception(error)
        return answered

    Timer(QUARTER, call, clock).run(stop)
    return [f"{time:%H:%M}" for time in times]


def test_a_function_is_called_at_each_time_of_its_schedule_and_not_at_the_start() -> None:
    assert called_at(3) == ["10:15", "10:30", "10:45"]


def test_times_that_pass_during_a_call_are_made_up_for_by_one_call() -> None:
    def slow(clock: FakeClock, number: int) -> None:
        if number == 1:
            clock.sleep(40 * 60)

    assert called_at(3, slow) == ["10:15", "10:55", "11:00"]


@pytest.mark.parametrize("crash", [False, True])
def test_a_failed_call_is_logged_and_not_repeated_before_the_next_time(
    crash: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_clock: FakeClock, number: int) -> str | None:
        if crash:
            raise WorkerDied("ValueError: no sweep today")
        return "ValueError: no sweep today"

    assert called_at(2, fail) == ["10:15", "10:30"]
    assert caplog.text.count("tick failed") == 2
    assert "no sweep today" in caplog.text


def test_a_stop_of_the_worker_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    def stopped(_clock: FakeClock, number: int) -> None:
        raise WorkerStopped

    assert called_at(1, stopped) == ["10:15"]
    assert caplog.text == ""


def test_the_host_calls_a_timers_function_when_its_clock_says_so(app: HostApp, start: Start) -> None:
    clock = ManualClock()
    with start(clock=clock, SCHEDULE="0 */15 * * * *"):
        eventually(lambda: clock.sleepers == 1)
        clock.advance(14 * 60)
        assert app.calls("tick") == []
        clock.advance(60)
        eventually(lambda: app.calls("tick") == [False])  # not past due
        eventually(lambda: clock.sleepers == 1)
        clock.advance(15 * 60)
        eventually(lambda: app.calls("tick") == [False, False])


def test_a_timers_function_is_never_called_twice_at_the_same_time(app: HostApp, start_plain: Start) -> None:
    clock = ManualClock()
    with start_plain(clock=clock, SCHEDULE="0 * * * * *", TICK_SECONDS="2"):
        eventually(lambda: clock.sleepers == 1)
        clock.advance(60)
        eventually(lambda: app.calls("tick") == [False])
        clock.advance(300)
        eventually(lambda: len(app.calls("tick_end")) == 2)
    assert app.kinds("tick", "tick_end") == ["tick", "tick_end"] * 2


def test_a_host_that_waits_for_a_timer_stops_at_once(start_plain: Start) -> None:
    clock = ManualClock()
    with start_plain(clock=clock):
        eventually(lambda: clock.sleepers == 1)
    assert clock.sleepers == 0
