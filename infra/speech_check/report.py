"""Prints and saves the results of a check."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.speech_check.exchanges import Exchange
from infra.speech_check.findings import Check, Row

USD_PER_HOUR = 1.0  # of S0, at the time of writing; the price of a region may differ
ALL_AS_ASSUMED = "all as assumed"


def cost(checks: Sequence[Check]) -> str:
    """Return how much is sent, and about how much that costs."""
    requests = sum(len(check.requests) for check in checks)
    seconds = sum(check.seconds for check in checks)
    cents = math.ceil(100 * USD_PER_HOUR * seconds / 3600)
    return f"{requests} requests with {seconds / 60:.1f} minutes of audio: about {cents} US cents on S0, nothing on F0"


def conclusion(rows: Sequence[Row]) -> str:
    """Return the last line: whether the app would work, and how much differs."""
    broken = [row.check.what for row in rows if not row.finding.works]
    different = sum(not row.finding.same for row in rows)
    if broken:
        return f"The app would not work with these settings: see {', '.join(broken)}."
    if different:
        return f"{different} different. The app works with these settings; see above for better ones."
    return ALL_AS_ASSUMED


def save(path: Path, endpoint: str, rows: Sequence[Row], exchanges: Sequence[Exchange], *, is_local: bool) -> None:
    """Write the results and the raw exchanges.

    The stand-in reads `measured` and `checkedAt`. It is no measure of itself, so `is_local` leaves nothing to read.
    """
    measured: dict[str, Any] = {}
    for row in () if is_local else rows:
        measured |= row.finding.measured
    content = {
        "checkedAt": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "endpoint": endpoint,
        "conclusion": conclusion(rows),
        "measured": measured,
        "rows": [
            {
                "what": row.check.what,
                "assumed": row.check.assumed,
                "did": row.finding.did,
                "same": row.finding.same,
                "works": row.finding.works,
                "advice": row.finding.advice,
            }
            for row in rows
        ],
        "exchanges": [exchange.as_json() for exchange in exchanges],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
