"""Limits the requests that this process has in flight, and decides which recording sends the next one."""

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from transcription.clock import Budget


class FairLimiter:
    """A fair limit on concurrent requests.

    A free place goes to the recording with the fewest requests in flight. Among equals, it goes to the one that has
    waited longest. So a long recording delays a short one by one request at most, and still gets every place that
    nobody else needs.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._in_flight: Counter[Hashable] = Counter()

    @property
    def waiting(self) -> int:
        """Return the number of requests that are waiting for a place."""
        return len(self._waiting)

    @contextmanager
    def place(self, recording: Hashable, budget: Budget) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises Exhausted if the budget ends before a place is free.
        """
        ticket = _Ticket(recording)
        with self._lock:
            self._waiting.append(ticket)
            self._admit()
        try:
            if not ticket.admitted.wait(timeout=max(0.0, budget.left())):
                raise budget.exhausted(
                    "This clip was not sent: the app had reached its own limit of requests in flight."
                )
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
    """One request that waits for a place or holds one."""

    def __init__(self, recording: Hashable) -> None:
        self.recording = recording
        self.admitted = threading.Event()
