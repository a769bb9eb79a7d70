"""NCRONTAB, the schedules of timer triggers: cron with a first field for seconds.

cronsim does the arithmetic of dates. It differs from NCRONTAB in one point. If a schedule names both days of the month
and days of the week, cron takes a day that matches either, and NCRONTAB only one that matches both.
"""

from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError


def next_occurrence(schedule: str, after: datetime) -> datetime:
    """Return the first time after `after` that the schedule names, to the second.

    Raises ValueError if the schedule is not NCRONTAB of six fields, or names no time in the next 50 years.
    """
    try:
        second, minute, hour, day, month, weekday = schedule.split()
        by_day = f"{second} {minute} {hour} {day} {month} *"
        by_weekday = f"{second} {minute} {hour} * {month} {weekday}"
        first, other = next(CronSim(by_day, after)), next(CronSim(by_weekday, after))
        while first != other:
            just_before = max(first, other) - timedelta(seconds=1)
            first, other = next(CronSim(by_day, just_before)), next(CronSim(by_weekday, just_before))
    except (ValueError, CronSimError, StopIteration) as error:
        raise ValueError(
            f"{schedule!r} is not a schedule. Use six fields, seconds first, such as '0 */15 * * * *'."
        ) from error
    return first
