"""`python -m tests.soak [--quick] [BAR …]`: runs the bars and prints the table. Exit status 1: something failed."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from local.azurite import ACCOUNT_KEY, Azurite
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
)
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.soak.harness import Harness
from tests.soak.report import Result, say, table

BARS: dict[str, Callable[[Harness], Result]] = {
    "duplicates": duplicates.run,
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


def run(bars: Sequence[str], storage: Callable[[], AbstractContextManager[Azurite]], *, quick: bool) -> list[Result]:
    """The bars' results, each on a `storage` of its own, and that of the search for secrets in all of them."""
    started = time.monotonic()
    results = []
    with Canaries().watching() as canaries:
        canaries.add(SPEECH_KEY, "the Speech key")
        canaries.add(ACCOUNT_KEY, "the storage key")
        for bar in bars:
            with storage() as azurite:
                results.append(BARS[bar](Harness(azurite.connection_string, canaries, quick)))
    for place in sorted(set(canaries.found))[:20]:
        say(f"  FOUND {place}")
    note = "log lines, documents, captions and exceptions searched, for keys, tokens and SAS"
    seconds = time.monotonic() - started
    return [*results, Result("canary secrets", canaries.searched, len(canaries.found), note, seconds)]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars", nargs="*", metavar="BAR", help=f"of {', '.join(BARS)}; else all")
    parser.add_argument("--quick", action="store_true", help="a small share of each")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.bars) - set(BARS):
        parser.error(f"there is no bar {', '.join(unknown)}")
    results = run(asked.bars or list(BARS), Azurite, quick=asked.quick)
    say("\n" + table(results))
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
