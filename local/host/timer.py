"""Calls a function at the times of its schedule, one call at a time.

Times are UTC, as in Azure. The real host remembers in storage when a timer is due, and makes up for a time that passed
while it was stopped. This one does not: after a start, it waits for the next time. So `past_due` is never true.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from local.host.errors import WorkerDied, WorkerStopped
from local.host.functions import TimerTrigger
from local.host.schedule import next_occurrence
from transcription.clock import Clock

log = logging.getLogger("local.host")

# The real host sends this for a timer whose times it does not remember.
TIMER_INFO: dict[str, Any] = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}


class Timer:
    """One timer trigger."""

    def __init__(self, trigger: TimerTrigger, call: Callable[[], Future[str | None]], clock: Clock) -> None:
        """Prepare the timer. `call` starts the function; its future is the function's error, or None."""
        self._trigger = trigger
        self._call = call
        self._clock = clock

    def run(self, stop: threading.Event) -> None:
        """Call the function on schedule until `stop` is set.

        If times pass during a call, the function is called once more, right after it. The real host does the same.
        """
        due = next_occurrence(self._trigger.schedule, self._clock.now())
        while not stop.is_set():
            now = self._clock.now()
            if now < due:
                self._clock.sleep((due - now).total_seconds(), stop)
                continue
            self._call_and_wait()
            due = next_occurrence(self._trigger.schedule, now)

    def _call_and_wait(self) -> None:
        """Call the function and log its error. A failed call is not repeated before the next time."""
        try:
            error = self._call().result()
        except WorkerStopped:
            return
        except WorkerDied as died:
            error = str(died)
        if error:
            name = self._trigger.function
            log.warning("%s failed, so it is called again at the next time of its schedule: %s", name, error)
