"""A minute in which the service answers 503 or 429 and nothing else: waited out, and nothing is given up."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from local.speech import Fault
from tests.soak.ground import Content, FastClock, Ground, Scene, contents
from tests.soak.report import Result, Tally

BAR = "60 s of 503 and 429"
SECONDS = 60.0
SPEED = 60.0  # times as fast as outside
AT_ONCE = 16  # the host's maxDegreeOfParallelism
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
    uploads = ground.number(60, 8)
    tally = Tally(BAR, len(ANSWERS) * uploads)
    calls = 0
    for what, faults in ANSWERS:
        with ground.scene(recognizer, FastClock(SPEED)) as scene, out_of_order(scene, faults):
            given = {f"{what} {number}.wav": found[number % len(found)] for number in range(uploads)}
            tally.each(lambda name: wrong(scene, name, given[name]), given, AT_ONCE)  # noqa: B023  # it ends in here
            calls += scene.requests
    return tally.result(
        f"{uploads} recordings each under 503, under 429 and under both: {tally.failed} poisoned; {calls} Speech calls"
    )


def wrong(scene: Scene, name: str, content: Content) -> str | None:
    scene.upload(name, content.wav)
    job = scene.job()
    tries = scene.deliver(lambda: job, name)
    return scene.right(name, content) or (f"{name} took {tries} deliveries" if tries > 1 else None)


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
