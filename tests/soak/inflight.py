"""Replaced or deleted while it is worked on: in the end the document is of the content that is there."""

import random
import threading
import time
from collections.abc import Callable

from azure.core.exceptions import ResourceNotFoundError

from tests.soak.harness import Content, Harness, SoakApp, contents
from tests.soak.report import Result, Tally
from transcription.job import Job

BAR = "replaced or deleted in flight"
AT_ONCE = 8
SLOWEST = 0.3  # seconds that the service takes for a clip at most: so the work on the older content may end last
LONGEST_WORK = 0.25  # seconds within which the other one comes
CHANGES = ("replaced", "replaced twice", "deleted", "deleted and uploaded again")


def run(harness: Harness) -> Result:
    found, recognizer = contents(6)
    runs = harness.number(300, 24)
    with harness.app(recognizer, latency=lambda _: random.uniform(0, SLOWEST)) as app:
        job = app.job(TRANSCRIPT_FORMATS="json,vtt")
        tally = Tally(BAR, runs)
        tally.each(lambda number: changed(app, lambda: job, number, found), range(runs), AT_ONCE)
        names = {f"{number}.wav" for number in range(runs)}
        for stranger in app.strangers(names):
            tally.ran(f"{stranger} belongs to nothing")
        calls = app.requests
    return tally.result(f"{runs // len(CHANGES)} each {', '.join(CHANGES)}; {calls} Speech calls")


def changed(app: SoakApp, job: Callable[[], Job], number: int, found: list[Content]) -> str | None:
    """Every change brings its own event, delivered while the first is under way or after."""
    name, change, dice = f"{number}.wav", CHANGES[number % len(CHANGES)], random.Random(number)
    before, after, last = dice.sample(found, 3)
    first = app.upload(name, before.wav)
    events = [threading.Thread(target=app.deliver, args=(job, name))]
    events[0].start()
    time.sleep(dice.uniform(0, LONGEST_WORK))
    content: Content | None = after
    if change.startswith("deleted"):
        app.audio.delete_blob(name)
        content = None
    for following in {"replaced": [after], "replaced twice": [after, last], "deleted": []}.get(change, [after]):
        app.upload(name, following.wav)
        content = following
        events.append(threading.Thread(target=app.deliver, args=(job, name)))
        events[-1].start()
        time.sleep(dice.uniform(0, LONGEST_WORK / 2))
    for event in events:
        event.join()
    if content:
        return app.right(name, content, app.etag(name)) or app.captions_wrong(name)
    return left_behind(app, name, before, first)


def left_behind(app: SoakApp, name: str, content: Content, etag: str) -> str | None:
    """Nothing, or what was finished before the deletion."""
    try:
        app.read(name)
    except ResourceNotFoundError:
        return None
    return app.right(name, content, etag)
