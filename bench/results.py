"""One row of the table: a measured figure, its comparison and its target."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One measured figure.

    runs: the figure of each run; the median counts. unit: their unit.
    target: the most that the median may be, or the least with `at_least`; None if the figure is only for information.
    ours, theirs: the two measured sides, as text.
    """

    what: str
    compared_with: str
    ours: str
    theirs: str
    runs: Sequence[float]
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def value(self) -> float:
        return median(self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the range of the middle half of the runs."""
        ordered = sorted(self.runs)
        return ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def verdict(self) -> str:
        return "" if self.target is None else "ok" if self.met else "missed"

    @property
    def share_of_target(self) -> float | None:
        """Return the share of the target that is used: 1 is just met, less is better."""
        if self.target is None or not self.value:
            return None
        return self.target / self.value if self.at_least else self.value / self.target


def figure(value: float) -> str:
    """Return the value with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median, in milliseconds."""
    return f"{figure(1000 * median(seconds))} ms"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the ratio of each pair. The two of a pair ran one after the other, so noise is likely to affect both."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
