"""Minutes in which the service answers 503 or 429 and nothing else: waited out, and nothing is given up."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.speech import Fault
from tests.soak.harness import Content, FastClock, Harness, SoakApp, contents, in_turn
from tests.soak.report import Result, Tally

BAR = "60 s of 503 and 429"
SECONDS = 60.0
SPEED = 60.0  # times as fast as outside
AT_ONCE = 16  # the host's maxDegreeOfParallelism: who comes later meets no outage any more
ANSWERS = (
    ("503", [Fault.status(503)]),
    ("429", [Fault.status(429)]),
    (
        "both, with Retry-After",
        [Fault.status(503, headers={"Retry-After": "5"}), Fault.status(429, headers={"Retry-After": "2"})],
    ),
)


def run(harness: Harness) -> Result:
    found, recognizer = contents(4)
    outages, uploads = harness.number(4, 1), harness.number(AT_ONCE, 8)
    tally = Tally(BAR, len(ANSWERS) * outages * uploads)
    calls = 0
    for what, faults in ANSWERS * outages:
        with harness.app(recognizer, FastClock(SPEED)) as app:
            given = in_turn(app, [f"{what} {number}.wav" for number in range(uploads)], found)
            with out_of_order(app, faults):
                tally.each(lambda name: wrong(app, name, given[name]), given, uploads)  # noqa: B023  # it ends in here
            calls += app.requests
    return tally.result(
        f"{outages * uploads} recordings each under 503, under 429 and under both: {tally.failed} poisoned;"
        f" {calls} Speech calls"
    )


def wrong(app: SoakApp, name: str, content: Content) -> str | None:
    job = app.job()
    tries = app.deliver(lambda: job, name)
    if problem := app.right(name, content):
        return problem
    document = app.read(name)
    met = document["recognition"]["requests"] > len(document["phrases"])
    return f"{name} took {tries} deliveries, outage met: {met}" if tries > 1 or not met else None


@contextmanager
def out_of_order(app: SoakApp, faults: list[Fault]) -> Iterator[None]:
    """For SECONDS of the app's clock from now on, and from then on no more."""
    over = threading.Event()
    ends = app.clock.monotonic() + SECONDS
    turns = itertools.cycle(faults)

    def feed() -> None:
        while app.clock.monotonic() < ends and not over.is_set():
            while len(app.endpoint.faults) < 4 * AT_ONCE:
                app.endpoint.faults.append(next(turns))
            over.wait(0.002)
        app.endpoint.faults.clear()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    yield
    over.set()
    feeder.join()
