"""`python -m tests.soak [--quick] [--mutants] [BAR …]`: runs the bars and prints a table.

Exits with 1 if a bar failed, or if a mutant did not make its bar fail.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from local.azurite import ACCOUNT_KEY, Azurite
from local.progress import say
from tests.soak import (
    duplicates,
    endurance,
    fairness,
    harm,
    inflight,
    killed,
    kills,
    listing,
    long,
    media,
    names,
    once,
    outage,
    quota,
    sockets,
    stateful,
    statuses,
    stopped,
    swept,
    unwritten,
    waiting,
    wire,
)
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.soak.harness import Harness
from tests.soak.mutants import MUTANTS
from tests.soak.mutation import unseen
from tests.soak.report import Result, table

BARS: dict[str, Callable[[Harness], Result]] = {
    "duplicates": duplicates.run,
    "wire": wire.run,
    "sockets": sockets.run,
    "statuses": statuses.run,
    "outage": outage.run,
    "fairness": fairness.run,
    "quota": quota.run,
    "kills": kills.run,
    "inflight": inflight.run,
    "stateful": stateful.run,
    "media": media.run,
    "harm": harm.run,
    "names": names.run,
    "once": once.run,
    "starved": waiting.run_starved,
    "budget": waiting.run_long,
    "long": long.run,
    "killed": killed.run,
    "stopped": stopped.run,
    "unwritten": unwritten.run,
    "swept": swept.run,
    "listing": listing.run,
    "endurance": endurance.run,
}
SECRETS = "canaries"  # the search for secrets; it accompanies the bars and has mutants of its own
MOST_LEAKS_PRINTED = 20


def run(bars: Sequence[str], storage: Callable[[], AbstractContextManager[Azurite]], *, quick: bool) -> list[Result]:
    """Run each bar on its own storage, and search everything for secrets.

    Return one result for each bar, and one for the search.
    """
    started = time.monotonic()
    results = []
    with Canaries().watching() as canaries:
        canaries.add(SPEECH_KEY, "the Speech key")
        canaries.add(ACCOUNT_KEY, "the storage key")
        canaries.break_settings(SPEECH_KEY)
        for bar in bars:
            with storage() as azurite:
                results.append(BARS[bar](Harness(azurite.connection_string, canaries, quick)))
    for leak in sorted(set(canaries.found))[:MOST_LEAKS_PRINTED]:
        say(f"  FOUND {leak}")
    note = "log lines, documents, captions and exceptions searched for keys, tokens and SAS"
    seconds = time.monotonic() - started
    return [*results, Result("canary secrets", canaries.searched, len(canaries.found), note, seconds)]


def with_mutants(bars: Sequence[str], results: Sequence[Result]) -> tuple[list[Result], bool]:
    """Run the mutants that these bars have to see. Return the results with what was seen red, and whether all were."""
    rows = [*bars, SECRETS]
    labels = {row: result.bar for row, result in zip(rows, results, strict=True)}
    mutants = [mutant for mutant in MUTANTS if set(mutant.bars) <= set(bars)]
    say(f"{len(mutants)} mutants to run …")
    missed = unseen(mutants, labels)
    counted = []
    for row, result in zip(rows, results, strict=True):
        expected = sum(mutant.bar == row for mutant in mutants)
        seen = expected - sum(mutant.bar == row for mutant in missed)
        counted.append(replace(result, seen_red=f"{seen} of {expected}" if expected else ""))
    return counted, not missed


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars", nargs="*", metavar="BAR", help=f"one or more of {', '.join(BARS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="run a small share of each bar")
    parser.add_argument(
        "--mutants", action="store_true", help="then break copies of the app on purpose; each bar has to see it"
    )
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.bars) - set(BARS)):
        parser.error(f"unknown bar: {', '.join(unknown)}. Use one of {', '.join(BARS)}.")
    bars, seen = options.bars or list(BARS), True
    results = run(bars, Azurite, quick=options.quick)
    if options.mutants:
        results, seen = with_mutants(bars, results)
    say("\n" + table(results))
    return int(not seen or any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
