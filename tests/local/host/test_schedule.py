"""The times that a schedule names."""

from datetime import UTC, datetime

import pytest

from local.host.schedule import next_occurrence


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 */15 * * * *", "2026-11-23 10:00:00", "2026-11-23 10:15:00"),
        ("0 */15 * * * *", "2026-11-23 10:14:59.9", "2026-11-23 10:15:00"),
        ("*/10 * * * * *", "2026-11-23 10:00:41", "2026-11-23 10:00:50"),
        ("30 5 2 * * *", "2026-11-23 10:00:00", "2026-11-24 02:05:30"),
        ("0 0 9-17/4 * * MON-FRI", "2026-11-27 17:00:00", "2026-11-30 09:00:00"),
        ("0 0 9 * March monday", "2026-11-23 10:00:00", "2027-03-01 09:00:00"),
        ("0 0 0 29 2 *", "2026-11-23 10:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 1 jan,jul *", "2026-11-23 10:00:00", "2027-01-01 00:00:00"),
    ],
)
def test_the_next_time_is_the_first_after_a_moment(schedule: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert next_occurrence(schedule, moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_day_of_the_month_and_a_day_of_the_week_must_both_match() -> None:
    """Other than in cron. The next Friday the 13th after November 2026 is in August 2027."""
    start = datetime(2026, 11, 23, tzinfo=UTC)
    first = next_occurrence("* * * 13 * FRI", start)
    assert first == datetime(2027, 8, 13, tzinfo=UTC)
    assert next_occurrence("* * * 13 * FRI", first) == datetime(2027, 8, 13, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "schedule", ["", "off", "*/15 * * * *", "0 0 * * * * 2027", "60 * * * * *", "0 0 0 31 2 *", "00:15:00", "x " * 6]
)
def test_anything_else_is_no_schedule(schedule: str) -> None:
    with pytest.raises(ValueError, match="six fields"):
        next_occurrence(schedule, datetime(2026, 11, 23, tzinfo=UTC))
