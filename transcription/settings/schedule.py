"""Reads NCRONTAB schedules, the six fields that timer triggers take.

The host reads the schedule too. If the host cannot read it, the function is not indexed. So a wrong schedule must be
found before the host sees it. This accepts a little less than the host does.
https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
"""

import re
from dataclasses import dataclass

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True)
class Field:
    """One field of a schedule. `names` are other spellings of its values, in order from `least`."""

    title: str
    least: int
    most: int
    names: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """Return the values that the text stands for, such as `*/15`, `1-5` or `MON,FRI`.

        Raises ValueError if it stands for none. The error does not quote the text.
        """
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, text: str) -> range:
        match = _PART.fullmatch(text)
        if not match:
            raise self._wrong()
        first, last, step = match["first"], match["last"], self._step(match["step"])
        start = self._value(first) if first else self.least
        alone = first and not match["step"]  # `5` is one value, but `5/10` goes on to the end
        end = self._value(last) if last else start if alone else self.most
        if start > end:
            raise self._wrong()
        return range(start, end + 1, step)

    def _step(self, text: str | None) -> int:
        step = 1 if text is None else int(text) if _NUMBER.fullmatch(text) else 0
        if step < 1:
            raise self._wrong()
        return step

    def _value(self, text: str) -> int:
        for value, name in enumerate(self.names, self.least):
            if text.casefold() in (name, name[:3]):
                return value
        if not (_NUMBER.fullmatch(text) and self.least <= int(text) <= self.most):
            raise self._wrong()
        return int(text)

    def _wrong(self) -> ValueError:
        return ValueError(f"has a wrong field for {self.title}, which go from {self.least} to {self.most}")


FIELDS = (
    Field("seconds", 0, 59),
    Field("minutes", 0, 59),
    Field("hours", 0, 23),
    Field("days of the month", 1, 31),
    Field("months", 1, 12, MONTHS),
    Field("days of the week", 0, 6, DAYS),  # 0 is Sunday
)


def parse_schedule(text: str) -> tuple[frozenset[int], ...]:
    """Return the values of each field, in the order of FIELDS.

    Raises ValueError if the text is not a schedule. The error says what is wrong, and does not quote the text.
    """
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError("does not have six fields: second, minute, hour, day, month, day of the week")
    return tuple(field.values(value) for field, value in zip(FIELDS, fields, strict=True))
