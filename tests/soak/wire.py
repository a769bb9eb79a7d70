"""Answers in every legal and illegal way, over raw sockets: none reaches another clip, and none holds its place."""

from tests.soak.harness import Harness
from tests.soak.report import Result, Tally
from tests.soak.sockets import authority
from tests.support.wire import CONNECTIONS, DEADLINE, run_exchanges

BAR = "the wire"
LEAST_ANSWERED = 0.3  # of all; with less, the plans break too much to show anything


def run(harness: Harness) -> Result:
    """Run half of the exchanges plain and half with TLS, each half on one pool of connections."""
    half = harness.number(2500, 100)
    tally = Tally(BAR, 2 * half)
    answered = late = 0
    slowest = 0.0
    with authority() as tls:
        for context in (None, tls):
            outcomes = run_exchanges(half, seed=half, tls=context)
            for number in range(half):
                tally.count(outcomes.wrong[number] if number < len(outcomes.wrong) else None)
            if outcomes.slowest > DEADLINE + 1:
                tally.count(f"an exchange took {outcomes.slowest:.1f} s, its deadline was {DEADLINE} s")
            answered += outcomes.counts["answered"]
            late += outcomes.counts["TooSlow"]
            slowest = max(slowest, outcomes.slowest)
    if answered < LEAST_ANSWERED * 2 * half:
        tally.count(f"only {answered} exchanges were answered")
    return tally.result(
        f"half plain, half TLS, each on a pool of {CONNECTIONS} connections: {answered} answered, {late} ended by their"
        f" deadline of {DEADLINE:g} s, the slowest after {slowest:.1f} s"
    )
