"""Decides which of the waiting clips sends the next request.

A recording's first two clips go first, so that short recordings pass long ones. They get at most half the places while
others wait. Then comes the oldest upload: one long recording after the other is finished, instead of all at the end.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, Refused, Retryable

FIRST_CLIPS = 2  # of a recording; most short recordings have no more


@dataclass(eq=False)
class Requester:
    """A recording that sends requests.

    uploaded: when it was uploaded; the oldest goes first.
    last_try: clips that are not answered in time are gaps. Otherwise another invocation continues.
    failed: a request of its own has failed, other than for lack of room.
    """

    uploaded: datetime
    budget: Budget
    last_try: bool = False
    failed: bool = False
    _last_failure: str = field(default="Its turn did not come.", init=False)
    _stopped_by: BaseException | None = field(default=None, init=False)

    def stop(self, error: BaseException) -> None:
        """Send no more requests. All clips that wait end with this error, unless another one was first."""
        self._stopped_by = self._stopped_by or error

    def note_failure(self, error: Retryable, wait: float) -> None:
        """Note a failed request, and stop if the time ends within `wait` seconds. Waiting would be in vain then."""
        self._last_failure = f"The last answer: {error}"
        was_cut = self.budget.left() <= 0  # by the end of the time; that says nothing about the service
        self.failed = self.failed or not (was_cut or isinstance(error, Refused))
        if wait >= self.budget.left():
            self.stop(self.budget.exhausted(self._last_failure, error.retry_after or 0.0))

    def check(self) -> None:
        """Raise the error that ended the sending, unless what is missing ends as gaps. Called while it is read."""
        error = self.stopped_by
        ends_as_gaps = isinstance(error, Misconfigured) or (self.last_try and isinstance(error, Exhausted))
        if error and not ends_as_gaps:
            raise error

    @property
    def place(self) -> tuple[datetime, str]:
        """Return the recording's place in the queue."""
        return self.uploaded, self.budget.name

    @property
    def stopped_by(self) -> BaseException | None:
        """Return the error that ended the sending, or None. The end of the time is one."""
        if self._stopped_by is None and self.budget.left() <= 0:
            self.stop(self.budget.exhausted(self._last_failure))
        return self._stopped_by


class Task(Protocol):
    """The requests of one clip, sent one at a time. `number` is the clip's place in its recording, from 0."""

    requester: Requester
    number: int

    def send(self) -> bool:
        """Send the next request. Return True if another one must follow."""

    def fail(self, error: BaseException) -> None:
        """End the task, because no more requests can be sent."""


@dataclass(eq=False)
class Waiting:
    """A task that waits for its turn. It has failed `failures` times in a row, and waits until `not_before`."""

    task: Task
    failures: int = 0
    not_before: float = 0.0

    @property
    def is_first(self) -> bool:
        return self.task.number < FIRST_CLIPS

    @property
    def place(self) -> tuple[tuple[datetime, str], int]:
        """Return the place in the queue: by upload, then by clip."""
        return self.task.requester.place, self.task.number


class Turns:
    """The tasks that wait. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._first_in_flight = 0
        self._last_was_first = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def requesters(self) -> set[Requester]:
        """Return the recordings that have waiting tasks."""
        return {waiting.task.requester for waiting in self._waiting}

    def add(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)

    def take_all(self) -> list[Waiting]:
        """Remove and return all tasks."""
        taken, self._waiting = self._waiting, []
        return taken

    def take_stopped(self) -> list[Waiting]:
        """Remove and return the tasks whose recording sends no more requests."""
        stopped = [waiting for waiting in self._waiting if waiting.task.requester.stopped_by]
        self._waiting = [waiting for waiting in self._waiting if waiting not in stopped]
        return stopped

    def take_next(self, now: float, places: int) -> Waiting | None:
        """Remove and return the task that sends the next request, if any is ready. `places` is the limit."""
        ready = [waiting for waiting in self._waiting if waiting.not_before <= now]
        if not ready:
            return None
        wants_first = self._first_in_flight < places // 2 if places > 1 else not self._last_was_first
        chosen = min(
            ready,
            key=lambda waiting: (waiting.is_first != wants_first, waiting.place),
        )
        self._waiting.remove(chosen)
        self._first_in_flight += chosen.is_first
        self._last_was_first = chosen.is_first
        return chosen

    def returned(self, waiting: Waiting) -> None:
        """Note that a request of this task is no longer in flight."""
        self._first_in_flight -= waiting.is_first

    def seconds_until_ready(self, now: float, closed: float) -> float:
        """Return the seconds until a task may be ready, or a recording's time is over. Nothing is sent for `closed`."""
        return min(
            min(max(closed, waiting.not_before - now), waiting.task.requester.budget.left())
            for waiting in self._waiting
        )
