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


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        woken.wait(seconds)


@dataclass
class Budget:
    """The seconds that one recording may take, including all waiting. `name` is the recording's name, for the log."""

    clock: Clock
    seconds: float
    name: str

    def __post_init__(self) -> None:
        self._ends = self.clock.monotonic() + self.seconds
        self._ended = threading.Event()

    def part(self) -> "Budget":
        """Return a budget with the same time left. Ending it does not end this one."""
        return Budget(self.clock, self.left(), self.name)

    def end(self) -> None:
        """End the budget now. Sleeping threads wake up, and later checks fail."""
        self._ended.set()

    def left(self) -> float:
        """Return the seconds left. They are 0 or negative once the time is up."""
        return 0.0 if self._ended.is_set() else self._ends - self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`, or until the budget is ended."""
        self.clock.sleep(seconds, self._ended)

    def check(self) -> None:
        """Raise Exhausted if there is no time for another request."""
        if self.left() <= 0:
            raise self.exhausted("There was no time left to send this clip.")

    def exhausted(self, reason: str) -> Exhausted:
        """Return an error that says the time is up. `reason` is a whole sentence."""
        minutes = self.seconds / 60
        return Exhausted(f"Gave up after {minutes:.3g} minutes of trying (MAX_PROCESSING_MINUTES). {reason}")
