"""Sends the clips of all recordings: one queue, one limit and one pool of threads for the process.

A clip never holds a thread while it waits. If its request was refused or has failed, it goes back to its place in the
queue.
"""

import logging
import math
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from transcription.clock import Clock
from transcription.errors import Refused, Retryable
from transcription.speech.concurrency import AdaptiveLimit
from transcription.speech.retries import wait_after
from transcription.speech.turns import Requester, Task, Turns, Waiting

MAX_HELD = 80  # clips that are cut and not answered; each takes up to 2 MB
LOG_SECONDS = 60.0  # at least, between two log lines about refusals

log = logging.getLogger(__name__)


class Dispatcher:
    """The queue of all clips of the process. Safe to use from many threads."""

    def __init__(self, ceiling: int, clock: Clock) -> None:
        """Start no thread yet. At most `ceiling` requests are ever in flight."""
        self._clock = clock
        self._limit = AdaptiveLimit(ceiling, clock)
        self._max_held = max(MAX_HELD, ceiling)
        self._turns = Turns()
        self._pool = ThreadPoolExecutor(ceiling, "speech")
        self._room = threading.Condition()  # its lock guards the limit, the turns and the counts
        self._woken = threading.Event()
        self._held: Counter[Requester] = Counter()
        self._applicants: list[Requester] = []  # recordings whose next clip waits for room
        self._in_flight = 0
        self._answers = 0
        self._refusals = 0
        self._logged = -LOG_SECONDS
        self._running = False

    @property
    def answers(self) -> int:
        """Return the number of requests that the service has answered in this process."""
        return self._answers

    @property
    def limit(self) -> int:
        """Return how many requests may now be in flight. After a refusal, this is near what the service accepts."""
        return self._limit.requests

    def submit(self, task: Task) -> None:
        """Queue the task. Waits while too many clips are held, unless this recording holds none.

        Room goes to the oldest upload too. Otherwise it would have too few clips in the queue for its places.
        """
        with self._room:
            self._applicants.append(task.requester)
            self._room.wait_for(lambda: self._has_room(task.requester))
            self._applicants.remove(task.requester)
            self._held[task.requester] += 1
            self._room.notify_all()  # there may be room for the next one
            self._turns.add(Waiting(task))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="speech-dispatcher", daemon=True).start()
        self._woken.set()

    def _has_room(self, requester: Requester) -> bool:
        if not self._held[requester]:
            return True
        oldest = min(self._applicants, key=lambda applicant: applicant.place)
        return self._held.total() < self._max_held and requester is oldest

    def wake(self) -> None:
        """Look at the queue again, because a recording was stopped."""
        self._woken.set()

    def _run(self) -> None:
        """Send requests until no task is left. If that fails, end all tasks that wait: nobody else would."""
        try:
            self._dispatch()
        except Exception as error:  # such as a thread that cannot be started
            log.exception("No more clips can be sent")
            with self._room:
                self._running = False
                stranded = self._turns.take_all()
            for waiting in stranded:
                self._end(waiting, error)

    def _dispatch(self) -> None:
        while True:
            self._woken.clear()
            with self._room:
                stopped = self._turns.take_stopped()
                sent = self._send_next()
                if not (stopped or sent or self._turns or self._in_flight):
                    self._running = False
                    return
                seconds = self._seconds_to_wait()
            for waiting in stopped:
                self._end(waiting, waiting.task.requester.stopped_by)
            if not (stopped or sent):
                self._wait(seconds)

    def _send_next(self) -> bool:
        """Start the next request if one may be sent."""
        if self._limit.seconds_closed() or self._in_flight >= self._limit.requests:
            return False
        waiting = self._turns.take_next(self._clock.monotonic(), self._limit.requests)
        if waiting is None:
            return False
        try:
            self._pool.submit(self._send, waiting, self._limit.sent())
        except RuntimeError:  # no thread can be started
            self._turns.returned(waiting)
            self._turns.add(waiting)
            raise
        self._in_flight += 1
        return True

    def _seconds_to_wait(self) -> float | None:
        """Return the seconds until there may be something to do, or None if only an answer brings it."""
        if not self._turns:
            return None
        full = self._in_flight >= self._limit.requests  # then an answer makes room, whenever it comes
        closed = math.inf if full else self._limit.seconds_closed()
        return self._turns.seconds_until_ready(self._clock.monotonic(), closed)

    def _wait(self, seconds: float | None) -> None:
        if self._in_flight:
            self._clock.wait(self._woken, seconds)
        elif seconds:
            self._clock.sleep(seconds, self._woken)

    def _send(self, waiting: Waiting, number: int) -> None:
        """Send one request of the task, in a thread of the pool."""
        error: Exception | None = None
        more = False
        try:
            more = waiting.task.send()
        except Exception as caught:  # noqa: BLE001  # whatever it is, the recording's thread raises it
            error = caught
        with self._room:
            self._count(number, error)
            self._in_flight -= 1
            self._turns.returned(waiting)
            again = more or (isinstance(error, Retryable) and self._may_return(waiting, error))
            if again:
                waiting.failures = 0 if more else waiting.failures
                self._turns.add(waiting)
        if not again:
            self._end(waiting, waiting.task.requester.stopped_by if isinstance(error, Retryable) else error)
        self._woken.set()

    def _count(self, number: int, error: Exception | None) -> None:
        if isinstance(error, Refused):
            self._limit.refused(number, error.retry_after)
            self._log_refusal(error)
        elif error is None:
            self._answers += 1
            self._limit.answered(clips_wait=bool(self._turns))

    def _may_return(self, waiting: Waiting, error: Retryable) -> bool:
        """Tell whether the task goes back to the queue. Stops every recording that cannot wait long enough."""
        if isinstance(error, Refused):
            wait = error.retry_after or 0.0
            for requester in self._turns.requesters | {waiting.task.requester}:
                requester.note_failure(error, wait)
        else:
            waiting.failures += 1
            wait = wait_after(error, waiting.failures)
            waiting.not_before = self._clock.monotonic() + wait
            waiting.task.requester.note_failure(error, wait)
            log.warning("%r: retrying in %.1f s: %s", waiting.task.requester.budget.name, wait, error)
        return waiting.task.requester.stopped_by is None

    def _end(self, waiting: Waiting, error: BaseException | None) -> None:
        """End the task, with an error or after its last answer, and make room for another clip."""
        if error:
            waiting.task.fail(error)
        with self._room:
            self._held[waiting.task.requester] -= 1
            if not self._held[waiting.task.requester]:
                del self._held[waiting.task.requester]
            self._room.notify_all()

    def _log_refusal(self, error: Refused) -> None:
        self._refusals += 1
        now = self._clock.monotonic()
        if now - self._logged >= LOG_SECONDS:
            log.warning(
                "Speech refuses requests (%d since the last such line): %s. At most %d are now sent at once.",
                self._refusals,
                error,
                self._limit.requests,
            )
            self._refusals, self._logged = 0, now
