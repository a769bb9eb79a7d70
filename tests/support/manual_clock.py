"""A clock whose time passes only when the test says so."""

import threading
from datetime import UTC, datetime, timedelta

POLL_SECONDS = 0.01  # between two looks of a sleeping thread


class ManualClock:
    """A clock that stands still. A thread that sleeps really waits, until the test has moved the clock far enough."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 10, tzinfo=UTC)) -> None:
        self._start = start
        self._passed = 0.0
        self.sleepers = 0

    def monotonic(self) -> float:
        return self._passed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        ends = self._passed + seconds
        self.sleepers += 1
        while self._passed < ends and not woken.wait(POLL_SECONDS):
            pass
        self.sleepers -= 1
