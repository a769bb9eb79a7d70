"""`make bench`: measures everything in one run, prints one table and stores it in `docs/`."""

import logging
import time
from collections.abc import Iterator

from bench import costs, decoders, imports, jobs, media, recordings, report, sending
from bench.results import Row
from local.azurite import Azurite
from local.progress import say


def rows() -> Iterator[Row]:
    yield from sending.rows()
    with Azurite() as azurite:
        yield from jobs.rows(azurite)
        yield from costs.rows(azurite)
        yield from decoders.rows(azurite)
    yield from media.rows()
    yield from imports.rows()


def main() -> None:
    logging.disable()  # the jobs log each upload
    recordings.prepare()
    say("Measuring (about four minutes; the quieter the machine, the better the numbers) …")
    started, measured = time.monotonic(), []
    for row in rows():
        measured.append(row)
        say(f"{time.monotonic() - started:4.0f} s  {row.what}: {row.ours} {row.verdict}")
    say()
    say(report.table(measured))
    say()
    report.write(measured, time.monotonic() - started)
    missed = sum(not row.met for row in measured)
    say(f"{report.machine()}. Targets missed: {missed}. docs/performance.md has the reasons.")


if __name__ == "__main__":
    main()
