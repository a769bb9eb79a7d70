"""`python -m tests.soak [--quick] [BAR …]`: runs the bars and prints a table. Exits with 1 if anything failed."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from local.azurite import ACCOUNT_KEY, Azurite
from local.progress import say
from tests.soak import (
    duplicates,
    endurance,
    fairness,
    inflight,
    kills,
    media,
    names,
    outage,
    sockets,
    stateful,
    statuses,
    wire,
)
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.soak.harness import Harness
from tests.soak.report import Result, table

BARS: dict[str, Callable[[Harness], Result]] = {
    "duplicates": duplicates.run,
    "wire": wire.run,
    "sockets": sockets.run,
    "statuses": statuses.run,
    "outage": outage.run,
    "fairness": fairness.run,
    "kills": kills.run,
    "inflight": inflight.run,
    "stateful": stateful.run,
    "media": media.run,
    "names": names.run,
    "endurance": endurance.run,
}
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


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars", nargs="*", metavar="BAR", help=f"one or more of {', '.join(BARS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="run a small share of each bar")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.bars) - set(BARS)):
        parser.error(f"unknown bar: {', '.join(unknown)}. Use one of {', '.join(BARS)}.")
    results = run(options.bars or list(BARS), Azurite, quick=options.quick)
    say("\n" + table(results))
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
