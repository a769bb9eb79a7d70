"""A clip waits longer after each failure, or as long as the service asks."""

from transcription.errors import Retryable
from transcription.speech.retries import MAX_WAIT, wait_after

BUSY = Retryable("busy")


def test_waits_double_with_each_failure() -> None:
    for failures in range(1, 7):
        assert 0.75 * 2 ** (failures - 1) <= wait_after(BUSY, failures) <= 1.25 * 2 ** (failures - 1)


def test_no_wait_is_longer_than_the_service_advises() -> None:
    waits = [wait_after(BUSY, failures) for failures in range(9, 2000)]
    assert min(waits) >= 0.75 * MAX_WAIT
    assert max(waits) <= 1.25 * MAX_WAIT


def test_waits_have_jitter_so_that_clips_do_not_return_together() -> None:
    assert len({wait_after(BUSY, 1) for _ in range(20)}) > 10


def test_the_wait_is_what_the_service_asks_for() -> None:
    assert wait_after(Retryable("busy", 17.0), 5) == 17.0
