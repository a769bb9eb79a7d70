"""The limit follows the service's answers: it grows until requests are refused, shrinks, and grows again."""

import pytest

from tests.support.clock import FakeClock
from transcription.speech.concurrency import MAX_CLOSED, AdaptiveLimit


def answer_all(limit: AdaptiveLimit) -> None:
    """Send as many requests as the limit allows, and answer them."""
    count = limit.requests
    for _ in range(count):
        limit.sent()
    for _ in range(count):
        limit.answered(clips_wait=True)


def test_the_slow_start_doubles_the_limit_with_each_round_trip(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    limits = []
    for _ in range(6):
        limits.append(limit.requests)
        answer_all(limit)
    assert limits == [4, 8, 16, 32, 64, 64]


def test_the_limit_never_exceeds_the_ceiling(clock: FakeClock) -> None:
    limit = AdaptiveLimit(2, clock)
    assert limit.requests == 2
    answer_all(limit)
    assert limit.requests == 2


def test_after_a_refusal_a_round_trip_raises_the_limit_by_one(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    for _ in range(3):
        answer_all(limit)
    limit.refused(limit.sent(), None)
    assert limit.requests == 22
    answer_all(limit)
    answer_all(limit)
    assert limit.requests in (23, 24)


def test_requests_that_were_sent_together_lower_the_limit_once(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    for _ in range(3):
        answer_all(limit)
    numbers = [limit.sent() for _ in range(32)]
    for number in numbers:
        limit.refused(number, None)
    assert limit.requests == 22
    limit.refused(limit.sent(), None)
    assert limit.requests == 15


def test_the_limit_does_not_fall_below_one(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    for _ in range(20):
        limit.refused(limit.sent(), None)
    assert limit.requests == 1


def test_a_limit_that_keeps_nothing_waiting_does_not_grow(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    for _ in range(100):
        limit.sent()
        limit.answered(clips_wait=False)
    assert limit.requests == 4


def test_refusals_above_the_floor_close_nothing(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    limit.refused(limit.sent(), None)
    assert limit.seconds_closed() == 0


def at_the_floor(clock: FakeClock) -> AdaptiveLimit:
    limit = AdaptiveLimit(1, clock)
    assert limit.requests == 1
    return limit


def test_at_the_floor_each_refusal_doubles_the_wait(clock: FakeClock) -> None:
    limit = at_the_floor(clock)
    for wait in (0.5, 1, 2, 4, 8, 8, 8):
        limit.refused(limit.sent(), None)
        assert 0.75 * wait <= limit.seconds_closed() <= 1.25 * wait
        clock.sleep(limit.seconds_closed())
        assert limit.seconds_closed() == 0


def test_an_answer_ends_the_wait_at_the_floor(clock: FakeClock) -> None:
    limit = at_the_floor(clock)
    for _ in range(4):
        limit.refused(limit.sent(), None)
    limit.answered(clips_wait=False)
    assert limit.seconds_closed() == 0
    limit.refused(limit.sent(), None)
    assert limit.seconds_closed() < 1


def test_the_wait_at_the_floor_has_jitter() -> None:
    clocks = [FakeClock() for _ in range(20)]
    limits = [at_the_floor(clock) for clock in clocks]
    for limit in limits:
        limit.refused(limit.sent(), None)
    assert len({limit.seconds_closed() for limit in limits}) > 10


@pytest.mark.parametrize(("asked", "closed"), [(7.0, 7.0), (600.0, 600.0), (3600.0, MAX_CLOSED)])
def test_nothing_is_sent_while_the_service_asks_to_wait_but_for_ten_minutes_at_most(
    clock: FakeClock, asked: float, closed: float
) -> None:
    limit = AdaptiveLimit(64, clock)
    limit.refused(limit.sent(), asked)
    limit.answered(clips_wait=False)
    assert limit.seconds_closed() == closed, "an answer to an earlier request changes nothing"
    clock.sleep(closed)
    assert limit.seconds_closed() == 0


def test_a_refusal_of_an_older_request_still_closes_the_limit_as_long_as_it_asks(clock: FakeClock) -> None:
    limit = AdaptiveLimit(64, clock)
    first, second = limit.sent(), limit.sent()
    limit.refused(second, None)
    limit.refused(first, 5.0)
    assert limit.seconds_closed() == 5.0
