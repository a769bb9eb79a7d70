"""NCRONTAB, the schedules of timer triggers: cron with a first field for seconds.

cronsim does the arithmetic of dates. It differs from NCRONTAB in two points. If a schedule names both days of the month
and days of the week, cron takes a day that matches either, and NCRONTAB only one that matches both. And NCRONTAB also
takes whole names of months and days.

One difference is left: cron knows Sunday as day 7 too, so `3/2` includes Sundays here, but not in NCRONTAB.
"""

import re
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

WHOLE_NAME = re.compile(r"([A-Za-z]{3})[A-Za-z]+")


def next_occurrence(schedule: str, after: datetime) -> datetime:
    """Return the first time after `after` that the schedule names, to the second.

    Raises ValueError if the schedule is not NCRONTAB of six fields, or names no time in the next 50 years.
    """
    try:
        second, minute, hour, day, month, weekday = WHOLE_NAME.sub(r"\1", schedule).split()
        by_day = f"{second} {minute} {hour} {day} {month} *"
        by_weekday = f"{second} {minute} {hour} * {month} {weekday}"
        first, other = next(CronSim(by_day, after)), next(CronSim(by_weekday, after))
        while first != other:
            just_before = max(first, other) - timedelta(seconds=1)
            first, other = next(CronSim(by_day, just_before)), next(CronSim(by_weekday, just_before))
    except (ValueError, CronSimError, StopIteration) as error:
        raise ValueError(
            f"{schedule!r} is no schedule, or never comes. Use six fields, seconds first, such as '0 */15 * * * *'."
        ) from error
    return first
