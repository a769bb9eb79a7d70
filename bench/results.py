"""One row of the table: what was measured, against what, and whether that is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """`runs` hold the figure that the bar is for, once for each run; the median counts. `ours` and `theirs` are what it
    was made of, in words. No `bar`: there is only something to know.
    """

    what: str
    compared_with: str
    ours: str
    theirs: str
    runs: Sequence[float]
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def value(self) -> float:
        return median(self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Between which values the middle half of the runs lies."""
        ordered = sorted(self.runs)
        return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]

    @property
    def met(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    @property
    def verdict(self) -> str:
        return "" if self.bar is None else "ok" if self.met else "missed"

    @property
    def share_of_bar(self) -> float | None:
        """1 is just met, less is better."""
        if self.bar is None or not self.value:
            return None
        return self.bar / self.value if self.at_least else self.value / self.bar


def figure(value: float) -> str:
    """Three digits that tell something."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def milliseconds(seconds: Sequence[float]) -> str:
    return f"{figure(1000 * median(seconds))} ms"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Of pairs, measured one after the other: what slowed one of them down is likely to have slowed the other."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]
