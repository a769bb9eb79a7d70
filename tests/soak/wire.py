"""Answers in every legal and illegal way, over raw sockets: none reaches another clip, and none holds its place."""

from tests.soak.harness import Harness
from tests.soak.report import Result, Tally
from tests.soak.sockets import authority
from tests.support.wire import CONNECTIONS, DEADLINE, run_exchanges

BAR = "the wire"
ROUND = 100  # exchanges of one run, on one pool of connections
LEAST_ANSWERED = 0.3  # of all; with less, the plans break too much to show anything


def run(harness: Harness) -> Result:
    """Run rounds of exchanges, plain and with TLS in turn."""
    rounds = harness.number(50, 2)
    tally = Tally(BAR, rounds * ROUND)
    answered = late = 0
    slowest = 0.0
    with authority() as tls:
        for number in range(rounds):
            outcomes = run_exchanges(ROUND, seed=number, tls=tls if number % 2 else None)
            for at in range(ROUND):
                tally.count(outcomes.wrong[at] if at < len(outcomes.wrong) else None)
            if outcomes.slowest > DEADLINE + 1:
                tally.count(f"an exchange took {outcomes.slowest:.1f} s, its deadline was {DEADLINE} s")
            answered += outcomes.counts["answered"]
            late += outcomes.counts["TooSlow"]
            slowest = max(slowest, outcomes.slowest)
    if answered < LEAST_ANSWERED * rounds * ROUND:
        tally.count(f"only {answered} exchanges were answered")
    return tally.result(
        f"plain and TLS, pools of {CONNECTIONS} connections: {answered} answered, {late} ended by their deadline of"
        f" {DEADLINE:g} s, the slowest after {slowest:.1f} s"
    )
