"""How many requests at once, how long to wait between tries, and when to give up.

The host gives failed work back at once and only five times, so an outage or a throttle has to be waited out in here,
within one recording's budget. tenacity runs the loop because it takes the clock from its caller; its wrappers do not.
"""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from transcription.errors import Exhausted, Retryable

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0  # seconds; doubled with each try
LONGEST_WAIT = 240.0  # seconds; the service's own advice for sustained load is 1, 2, 4, 4 minutes


class Clock(Protocol):
    def monotonic(self) -> float: ...

    def now(self) -> datetime:
        """The time of day, with a time zone."""

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        """Sleeps so long, or until it is `woken`."""


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float, woken: threading.Event) -> None:
        woken.wait(seconds)


@dataclass
class Budget:
    """The time one recording may take, all waiting included. `name` is the recording's, for the log."""

    clock: Clock
    seconds: float
    name: str

    def __post_init__(self) -> None:
        self._ends = self.clock.monotonic() + self.seconds
        self._ended = threading.Event()

    def part(self) -> "Budget":
        """The same time for one go, which can be ended without ending what comes after it."""
        return Budget(self.clock, self.left(), self.name)

    def end(self) -> None:
        """Nothing more is worth waiting for: whoever waits is woken, and whoever comes is refused."""
        self._ended.set()

    def left(self) -> float:
        """Seconds; negative once it is gone."""
        return 0.0 if self._ended.is_set() else self._ends - self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds, self._ended)

    def check(self) -> None:
        """Exhausted: there is no time for another request."""
        if self.left() <= 0:
            raise self.gone("no time was left to send this")

    def gone(self, reason: object) -> Exhausted:
        minutes = self.seconds / 60
        return Exhausted(
            f"Given up after {minutes:.3g} minutes of trying (MAX_PROCESSING_MINUTES). The last answer: {reason}"
        )


def persist(attempt: Callable[[], T], budget: Budget) -> T:
    """What `attempt` returns once it does not raise Retryable any more.

    Waits what the service asks for, else 1, 2, 4 … seconds with jitter. Exhausted: at once where the next wait would
    outlast the budget. Every other error passes through at the first try.
    """

    def note(state: RetryCallState) -> None:
        wait, number = state.upcoming_sleep, state.attempt_number + 1
        log.warning("%r: trying again in %.1f s (try %d): %s", budget.name, wait, number, _error(state))

    def give_up(state: RetryCallState) -> T:
        raise budget.gone(_error(state)) from None

    return Retrying(
        retry=retry_if_exception_type(Retryable),
        wait=_wait,
        stop=lambda state: state.upcoming_sleep >= budget.left(),
        sleep=budget.sleep,
        before_sleep=note,
        retry_error_callback=give_up,
    )(attempt)


def _wait(state: RetryCallState) -> float:
    """What the service asked for, else twice as long as before, give or take a quarter: clips that were throttled
    together must not come back together.
    """
    error = _error(state)
    if isinstance(error, Retryable) and error.retry_after is not None:
        return error.retry_after
    doubled = FIRST_WAIT * 2 ** min(state.attempt_number - 1, 30)
    return float(min(doubled, LONGEST_WAIT) * random.uniform(0.75, 1.25))  # noqa: S311  # no secret


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


class Gate:
    """The cap on requests in flight in this process, and whose turn is next.

    A free place goes to the recording with the fewest requests in flight, then to who has waited longest: a long
    recording keeps short ones waiting for one request at most, and still gets every place that nobody else wants.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._in_flight: Counter[Hashable] = Counter()

    @contextmanager
    def turn(self, recording: Hashable, budget: Budget) -> Iterator[None]:
        """Holds a place while the block runs. Exhausted: the budget went while waiting for one."""
        ticket = _Ticket(recording)
        with self._lock:
            self._waiting.append(ticket)
            self._admit()
        try:
            if not ticket.admitted.wait(timeout=max(0.0, budget.left())):
                raise budget.gone("no request was sent, since the app's own limit of requests in flight was reached")
            yield
        finally:
            self._leave(ticket)

    def _admit(self) -> None:
        while self._free and self._waiting:
            ticket = min(self._waiting, key=lambda waiting: self._in_flight[waiting.recording])
            self._waiting.remove(ticket)
            self._free -= 1
            self._in_flight[ticket.recording] += 1
            ticket.admitted.set()

    def _leave(self, ticket: "_Ticket") -> None:
        with self._lock:
            if not ticket.admitted.is_set():
                self._waiting.remove(ticket)
                return
            self._free += 1
            self._in_flight[ticket.recording] -= 1
            if not self._in_flight[ticket.recording]:
                del self._in_flight[ticket.recording]
            self._admit()


class _Ticket:
    def __init__(self, recording: Hashable) -> None:
        self.recording = recording
        self.admitted = threading.Event()
