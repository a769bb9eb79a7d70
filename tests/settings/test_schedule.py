"""A schedule is read as the host reads it, and a wrong one is refused with its field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.settings.schedule import FIELDS, parse_schedule


@pytest.mark.parametrize(
    ("schedule", "field", "values"),
    [
        ("0 */15 * * * *", "minutes", {0, 15, 30, 45}),
        ("0 7-59/20 * * * *", "minutes", {7, 27, 47}),
        ("0 50/5 * * * *", "minutes", {50, 55}),
        ("0 0 8-10 * * *", "hours", {8, 9, 10}),
        ("0 0 0 1,15,31 * *", "days of the month", {1, 15, 31}),
        ("0 0 0 * Jan,MARCH,12 *", "months", {1, 3, 12}),
        ("0 0 0 * * MON-fri", "days of the week", {1, 2, 3, 4, 5}),
        ("0 0 0 * * sunday,6", "days of the week", {0, 6}),
        ("0,30 * * * * *", "seconds", {0, 30}),
        ("*/60 * * * * *", "seconds", {0}),
        ("  0  *   * * * *\t", "seconds", {0}),
    ],
)
def test_a_field_stands_for_these_values(schedule: str, field: str, values: set[int]) -> None:
    titles = [each.title for each in FIELDS]
    assert parse_schedule(schedule)[titles.index(field)] == values


@pytest.mark.parametrize("number", range(len(FIELDS)))
def test_a_star_stands_for_every_value_of_its_field(number: int) -> None:
    field = FIELDS[number]
    assert parse_schedule("* * * * * *")[number] == set(range(field.least, field.most + 1))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("", "not have six fields"),
        ("*/15 * * * *", "not have six fields"),
        ("0 */15 * * * * *", "not have six fields"),
        ("00:15:00", "not have six fields"),
        ("60 * * * * *", "seconds, which go from 0 to 59"),
        ("0 -1 * * * *", "minutes"),
        ("0 5- * * * *", "minutes"),
        ("0 5,, * * * *", "minutes"),
        ("0 */0 * * * *", "minutes"),
        ("0 */ * * * *", "minutes"),
        ("0 */99999 * * * *", "minutes"),
        ("0 */ab * * * *", "minutes"),
        ("0 ٣ * * * *", "minutes"),
        ("0 0 24 * * *", "hours"),
        ("0 0 10-8 * * *", "hours"),
        ("0 0 MON * * *", "hours"),
        ("0 0 0 0 * *", "days of the month"),
        ("0 0 0 * 13 *", "months"),
        ("0 0 0 * janu *", "months"),
        ("0 0 0 * * 7", "days of the week"),
        ("0 0 0 * * FRI-MON", "days of the week"),
        ("0 0 0 ? * *", "days of the month"),
        ("0 0 0 L * *", "days of the month"),
        ("0 " + "9" * 5000 + " * * * *", "minutes"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_field(schedule: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_schedule(schedule)


@given(st.text(alphabet="0123456789*/-, jan"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        fields = parse_schedule(text)
    except ValueError:
        return
    for field, values in zip(FIELDS, fields, strict=True):
        assert values
        assert values <= set(range(field.least, field.most + 1))
