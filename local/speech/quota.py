"""The service's quota: it refuses what is more than so many recognitions at once, whoever sends them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.speech.checks import Refusal

TOO_MANY = "Too many requests at once for this Speech resource."


class Quota:
    """A number of concurrent recognitions, and counts of what became of them. Safe to use from many threads.

    places: None for any number. retry_after: the seconds that refusals name; None for none.
    answered: recognitions that had a place until their answer was known, or a fault's answer sent. refused: those that
    found no place free. most: the highest number in progress at once.
    """

    def __init__(self, places: int | None = None, retry_after: int | None = None) -> None:
        self.answered = self.refused = self.most = 0
        self._places = places
        self._headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs. Raises Refusal, at once, if none is free."""
        with self._lock:
            if self._places is not None and self._taken >= self._places:
                self.refused += 1
                raise Refusal(429, TOO_MANY, self._headers)
            self._taken += 1
            self.most = max(self.most, self._taken)
        try:
            yield
            with self._lock:
                self.answered += 1
        finally:
            with self._lock:
                self._taken -= 1
