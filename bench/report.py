"""The report: the table, the chart, and the file of the last results."""

import json
import os
import platform
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.results import Row, figure
from local.tools import PROJECT

DOCS = PROJECT / "docs"
JSON_FILE, CHART_FILE = DOCS / "performance.json", DOCS / "performance.png"
COLUMNS = {
    "what": 50,
    "compared with": 34,
    "ours": 21,
    "theirs": 10,
    "median": 12,
    "middle half": 15,
    "target": 8,
    "": 6,
}


def table(rows: Sequence[Row]) -> str:
    lines = [_line([[name] for name in COLUMNS]), "─" * (sum(COLUMNS.values()) + 2 * len(COLUMNS) - 2)]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)])


def _cells(row: Row) -> list[list[str]]:
    low, high = row.spread
    spread = f"{figure(low)} to {figure(high)}" if len(row.runs) > 1 else "one run"
    cells = [row.what, row.compared_with, row.ours, row.theirs, f"{figure(row.value)} {row.unit}", spread, _target(row)]
    return [textwrap.wrap(cell, width) for cell, width in zip([*cells, row.verdict], COLUMNS.values(), strict=True)]


def _target(row: Row) -> str:
    return "" if row.target is None else f"{'≥' if row.at_least else '≤'} {row.target:g}"


def _line(cells: Sequence[Sequence[str]]) -> str:
    """Return one row of the table, with as many lines as its longest cell needs."""
    height = max(map(len, cells))
    lines = [[cell[n] if n < len(cell) else "" for cell in cells] for n in range(height)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, COLUMNS.values(), strict=True)).rstrip()
        for line in lines
    )


def machine() -> str:
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}; "
        f"load at the end {load} (1, 5, 15 minutes; this benchmark's own included)"
    )


def write(rows: Sequence[Row], seconds: float) -> None:
    """Replace the results of the last run."""
    DOCS.mkdir(exist_ok=True)
    results = {
        "measuredAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "seconds": round(seconds),
        "rows": [_result(row) for row in rows],
    }
    JSON_FILE.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    chart(rows, CHART_FILE)


def _result(row: Row) -> dict[str, object]:
    return {
        "what": row.what,
        "comparedWith": row.compared_with,
        "ours": row.ours,
        "theirs": row.theirs,
        "unit": row.unit.strip(),
        "median": round(row.value, 4),
        "runs": [round(run, 4) for run in row.runs],
        "target": row.target,
        "atLeast": row.at_least,
        "verdict": row.verdict,
    }


def chart(rows: Sequence[Row], file: Path) -> None:
    """Draw each measured value as a share of its target. Bars that end left of the line are within it."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [(row, share) for row in rows if (share := row.share_of_target) is not None][::-1]
    canvas, axes = plt.subplots(figsize=(11, 0.42 * len(shown) + 1.4), layout="constrained")
    colours = ["#2a7f62" if row.met else "#c0392b" for row, _ in shown]
    axes.barh([row.what for row, _ in shown], [share for _, share in shown], color=colours, height=0.62)
    axes.axvline(1, color="#222222", linewidth=1.2)
    for position, (row, share) in enumerate(shown):
        text = f" {figure(row.value)} {row.unit.strip()} (target {_target(row)})"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.text(share, position, text, va="center", fontsize=8, bbox=box)
    axes.set_xlim(0, max(1.35, *(share * 1.3 for _, share in shown)))
    axes.set_xlabel("share of the target: less is better, 1 is just met")
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(file, dpi=110)
    plt.close(canvas)
