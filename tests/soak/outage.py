"""Minutes in which the service answers 503 or 429 and nothing else: waited out, and nothing is given up."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.speech import Fault
from tests.soak.ground import Content, FastClock, Ground, Scene, contents, in_turn
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


def run(ground: Ground) -> Result:
    found, recognizer = contents(4)
    outages, uploads = ground.number(4, 1), ground.number(AT_ONCE, 8)
    tally = Tally(BAR, len(ANSWERS) * outages * uploads)
    calls = 0
    for what, faults in ANSWERS * outages:
        with ground.scene(recognizer, FastClock(SPEED)) as scene:
            given = in_turn(scene, [f"{what} {number}.wav" for number in range(uploads)], found)
            with out_of_order(scene, faults):
                tally.each(lambda name: wrong(scene, name, given[name]), given, uploads)  # noqa: B023  # it ends in here
            calls += scene.requests
    return tally.result(
        f"{outages * uploads} recordings each under 503, under 429 and under both: {tally.failed} poisoned;"
        f" {calls} Speech calls"
    )


def wrong(scene: Scene, name: str, content: Content) -> str | None:
    job = scene.job()
    tries = scene.deliver(lambda: job, name)
    if problem := scene.right(name, content):
        return problem
    document = scene.read(name)
    met = document["recognition"]["requests"] > len(document["phrases"])
    return f"{name} took {tries} deliveries, outage met: {met}" if tries > 1 or not met else None


@contextmanager
def out_of_order(scene: Scene, faults: list[Fault]) -> Iterator[None]:
    """For SECONDS of the scene's clock from now on, and from then on no more."""
    over = threading.Event()
    ends = scene.clock.monotonic() + SECONDS
    turns = itertools.cycle(faults)

    def feed() -> None:
        while scene.clock.monotonic() < ends and not over.is_set():
            while len(scene.endpoint.faults) < 4 * AT_ONCE:
                scene.endpoint.faults.append(next(turns))
            over.wait(0.002)
        scene.endpoint.faults.clear()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    yield
    over.set()
    feeder.join()
