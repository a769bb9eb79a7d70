"""Has the service answer only 503 or 429 for a minute: the app waits and gives up on no upload."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.speech import Fault
from tests.soak.harness import LONG, SHORT, Content, FastClock, Harness, SoakApp, make_contents, upload_all
from tests.soak.report import Result, Tally

BAR = "60 s of 503 and 429"
OUTAGE_SECONDS = 60.0  # of the app's clock
SPEED = 20.0  # of the app's clock, relative to real time; each upload must send its first clip within three seconds
AT_ONCE = 16  # the host's maxDegreeOfParallelism; uploads after these would not meet the outage
ANSWERS = (
    ("503", [Fault.status(503)]),
    ("429", [Fault.status(429)]),
    (
        "both, with Retry-After",
        [Fault.status(503, headers={"Retry-After": "5"}), Fault.status(429, headers={"Retry-After": "2"})],
    ),
)


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(4, SHORT, LONG)
    outages, count = harness.number(4, 1), harness.number(AT_ONCE, 8)
    tally = Tally(BAR, len(ANSWERS) * outages * count)
    calls = 0
    for label, faults in ANSWERS * outages:
        with harness.app(recognizer, FastClock(SPEED)) as app:
            uploads = upload_all(app, [f"{label} {number}.wav" for number in range(count)], contents)
            with outage(app, faults):
                tally.run_each(lambda name: problem(app, name, uploads[name]), uploads, count)  # noqa: B023  # runs here
            calls += app.requests
    return tally.result(
        f"{outages * count} recordings each under 503, under 429 and under both: {tally.failed} poisoned;"
        f" {calls} Speech calls"
    )


def problem(app: SoakApp, name: str, content: Content) -> str | None:
    """Deliver one upload and return the problem, if any. It must meet the outage and need only one delivery."""
    job = app.job()
    deliveries = app.deliver(lambda: job, name)
    if wrong := app.problem(name, content):
        return wrong
    met_outage = app.read(name)["recognition"]["retries"] > 0
    wrong = f"{name}: {deliveries} deliveries, met the outage: {met_outage}"
    return wrong if deliveries > 1 or not met_outage else None


@contextmanager
def outage(app: SoakApp, faults: list[Fault]) -> Iterator[None]:
    """Answer every request with one of the faults, for OUTAGE_SECONDS from now."""
    stopping = threading.Event()
    ends = app.clock.monotonic() + OUTAGE_SECONDS
    turns = itertools.cycle(faults)

    def feed() -> None:
        while app.clock.monotonic() < ends and not stopping.is_set():
            while len(app.endpoint.faults) < 4 * AT_ONCE:
                app.endpoint.faults.append(next(turns))
            stopping.wait(0.002)
        app.endpoint.faults.clear()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    yield
    stopping.set()
    feeder.join()
