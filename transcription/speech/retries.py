"""Says how long a clip waits after a failed request.

This is about failures of one request, such as a reset connection. A refusal for lack of room (429 and 503) is about all
requests: `concurrency.py` handles it. `recognition/plan.py` is about resending uncovered speech after an answer.

The host gives failed work back at once, and only five times. So failures are waited out here.
"""

import random

from transcription.errors import Retryable

FIRST_WAIT = 1.0  # seconds; doubled with each failure
MAX_WAIT = 240.0  # seconds; the service advises waits of 1, 2, 4 and 4 minutes under sustained load
JITTER = 0.25  # of the wait; clips that failed together must not return together


def wait_after(error: Retryable, failures: int) -> float:
    """Return the seconds to wait after the last of so many failures: as the service asks, or 1, 2, 4 … with jitter."""
    if error.retry_after is not None:
        return error.retry_after
    doubled = FIRST_WAIT * 2 ** min(failures - 1, 30)
    return float(min(doubled, MAX_WAIT) * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # no secret
