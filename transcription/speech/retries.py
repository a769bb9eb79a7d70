"""Repeats a request until it is answered or the recording's budget is spent.

The host gives failed work back at once, and only five times. So outages and throttling are waited out here. tenacity
runs the loop because it takes the clock from its caller; its wrappers do not.
"""

import logging
import random
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from transcription.clock import Budget
from transcription.errors import Retryable

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_WAIT = 1.0  # seconds; doubled with each retry
LONGEST_WAIT = 240.0  # seconds; the service advises waits of 1, 2, 4 and 4 minutes under sustained load
JITTER = 0.25  # of the wait; clips that were throttled together must not return together


def retry_within(budget: Budget, attempt: Callable[[], T]) -> T:
    """Call `attempt` until it stops raising Retryable, and return its result.

    Waits as long as the service asks, or 1, 2, 4 … seconds with jitter. Other errors pass through.
    Raises Exhausted if the next wait would outlast the budget.
    """

    def log_wait(state: RetryCallState) -> None:
        wait, number = state.upcoming_sleep, state.attempt_number + 1
        log.warning("%r: retrying in %.1f s (try %d): %s", budget.name, wait, number, _error(state))

    def give_up(state: RetryCallState) -> T:
        raise budget.exhausted(f"The last answer: {_error(state)}") from None

    return Retrying(
        retry=retry_if_exception_type(Retryable),
        wait=_wait,
        stop=lambda state: state.upcoming_sleep >= budget.left(),
        sleep=budget.sleep,
        before_sleep=log_wait,
        retry_error_callback=give_up,
    )(attempt)


def _wait(state: RetryCallState) -> float:
    error = _error(state)
    if isinstance(error, Retryable) and error.retry_after is not None:
        return error.retry_after
    doubled = FIRST_WAIT * 2 ** min(state.attempt_number - 1, 30)
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
    return float(min(doubled, LONGEST_WAIT) * jitter)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
