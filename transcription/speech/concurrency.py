"""Finds out how many requests the service accepts at once, as TCP finds out how much a network carries.

The quota is not configured: it differs between resources, changes while the service scales, and is shared with other
processes. So the limit grows until the service refuses a request, then shrinks, and grows again more slowly. Processes
that share a quota end up with about equal shares. Sources: RFC 5681 (slow start, congestion avoidance), Netflix's
concurrency-limits, and the adaptive request concurrency of Vector.
"""

import random

from transcription.clock import Clock

FIRST_LIMIT = 4  # requests; the slow start begins here
DECREASE = 0.7  # of the limit, after a refusal
FIRST_WAIT = 0.5  # seconds without requests after a refusal at the lowest limit; doubled with each refusal
MAX_WAIT = 8.0  # seconds; longer waits would leave a small quota unused
JITTER = 0.25  # of such a wait; processes that were refused together must not return together
MAX_CLOSED = 600.0  # seconds; however long the service asks to wait, a request finds out by then if it still refuses


class AdaptiveLimit:
    """A limit on concurrent requests that follows the service's answers. Not thread-safe.

    Slow start: every answer raises the limit by 1, which doubles it with each round trip. After the first refusal, a
    whole round trip raises it by 1. Each refusal lowers it, but only once for all requests sent before that moment:
    they met the same shortage.
    """

    def __init__(self, ceiling: int, clock: Clock) -> None:
        self._ceiling = ceiling
        self._clock = clock
        self._limit = float(min(FIRST_LIMIT, ceiling))
        self._slow_start = True
        self._sent = 0
        self._lowered_at = 0  # requests sent when the limit was lowered last
        self._wait = FIRST_WAIT
        self._waits_until = 0.0
        self._asked_until = 0.0  # by Retry-After

    @property
    def requests(self) -> int:
        """Return how many requests may be in flight."""
        return int(self._limit)

    def seconds_closed(self) -> float:
        """Return the seconds until the next request may be sent; 0 if it may be sent now."""
        return max(0.0, max(self._waits_until, self._asked_until) - self._clock.monotonic())

    def sent(self) -> int:
        """Count a request that is sent now. Return its number, for `refused`."""
        self._sent += 1
        return self._sent

    def answered(self, *, clips_wait: bool) -> None:
        """Raise the limit after an answer. If no clip waits, the limit was not reached, so it stays."""
        self._wait, self._waits_until = FIRST_WAIT, 0.0
        if clips_wait:
            step = 1.0 if self._slow_start else 1.0 / self._limit
            self._limit = min(float(self._ceiling), self._limit + step)

    def refused(self, number: int, retry_after: float | None) -> None:
        """Lower the limit after a refusal, and close it for `retry_after` seconds.

        At the lowest limit it is closed for a short while in any case.
        """
        now = self._clock.monotonic()
        if retry_after is not None:
            self._asked_until = max(self._asked_until, now + min(retry_after, MAX_CLOSED))
        if number <= self._lowered_at:
            return
        if self.requests == 1:
            self._waits_until = now + self._wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
            self._wait = min(MAX_WAIT, 2 * self._wait)
        self._slow_start = False
        self._limit = max(1.0, DECREASE * self._limit)
        self._lowered_at = self._sent
