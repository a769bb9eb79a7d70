"""A clock for tests, so that none of them waits."""

import threading
from datetime import UTC, datetime, timedelta

REAL_SECONDS = 10.0  # for an event of another thread, which takes real time


class FakeClock:
    """A clock whose time passes only by sleeping. Sleeping takes no real time."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._passed

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 10, tzinfo=UTC) + timedelta(seconds=self._passed)

    def sleep(self, seconds: float, woken: threading.Event | None = None) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        event.wait(REAL_SECONDS)
