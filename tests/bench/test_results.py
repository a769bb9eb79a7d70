"""A row knows its median, its spread and whether it meets its target."""

import pytest

from bench.results import Row, figure, milliseconds, ratios


def row(*runs: float, target: float | None = None, at_least: bool = False) -> Row:
    return Row("a job", "the least", "1 s", "2 s", runs, "×", target, at_least)


def test_the_median_of_the_runs_counts() -> None:
    assert row(1.0, 9.0, 2.0).value == 2.0


def test_the_spread_is_the_middle_half_of_the_runs() -> None:
    assert row(*map(float, range(8))).spread == (2.0, 5.0)


@pytest.mark.parametrize(
    ("value", "target", "at_least", "verdict", "share"),
    [
        (1.0, 2.0, False, "ok", 0.5),
        (2.0, 2.0, False, "ok", 1.0),
        (3.0, 2.0, False, "missed", 1.5),
        (4.0, 2.0, True, "ok", 0.5),
        (1.0, 2.0, True, "missed", 2.0),
        (1.0, None, False, "", None),
        (0.0, 0.0, False, "ok", None),
    ],
)
def test_a_row_is_judged_by_its_target(
    value: float, target: float | None, at_least: bool, verdict: str, share: float | None
) -> None:
    judged = row(value, target=target, at_least=at_least)
    assert (judged.verdict, judged.share_of_target) == (verdict, share)
    assert judged.met is (verdict != "missed")


@pytest.mark.parametrize(("value", "text"), [(1234.5, "1234"), (12.345, "12.3"), (0.012345, "0.0123"), (0.0, "0")])
def test_figures_have_three_significant_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_milliseconds_are_those_of_the_median() -> None:
    assert milliseconds([0.001, 0.02, 0.5]) == "20 ms"


def test_ratios_are_calculated_for_each_pair() -> None:
    assert ratios([1.0, 6.0], [2.0, 3.0]) == [0.5, 2.0]
