"""A clock that tests can replace, and a time budget for each recording."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from transcription.errors import Exhausted


class Clock(Protocol):
    """A source of time, and a way to wait."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment. They never go back."""

    def now(self) -> datetime:
        """Return the time of day, with a time zone."""

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        """Wait for `seconds`, or until `woken` is set."""

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        """Wait for an event that other threads are about to set, at most for `seconds`.

        Unlike with `sleep`, nothing depends on the passing of time.
        """


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        woken.wait(seconds)

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        event.wait(seconds)


@dataclass
class Budget:
    """The seconds that one recording may take, including all waiting. `name` is the recording's name, for the log."""

    clock: Clock
    seconds: float
    name: str

    def __post_init__(self) -> None:
        self._ends = self.clock.monotonic() + self.seconds

    def left(self) -> float:
        """Return the seconds left. They are 0 or negative once the time is up."""
        return self._ends - self.clock.monotonic()

    def covers(self, wait: float) -> bool:
        """Tell whether a whole budget of this size lasts longer than the wait that the service asked for."""
        return wait < self.seconds

    def exhausted(self, reason: str, wait: float = 0.0) -> Exhausted:
        """Return an error that says why the work ends. It can go on after `wait` seconds. `reason` is a sentence."""
        if self.left() > 0:
            return Exhausted(f"The next request would come after MAX_PROCESSING_MINUTES. {reason}", wait)
        return Exhausted(
            f"Not finished within {self.seconds / 60:.3g} minutes (MAX_PROCESSING_MINUTES). {reason}", wait
        )
