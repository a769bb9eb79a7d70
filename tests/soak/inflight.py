"""Replaces or deletes uploads during their transcription: the last document belongs to the current content."""

import random
import threading
import time
from collections.abc import Callable

from azure.core.exceptions import ResourceNotFoundError

from tests.soak.harness import Content, Harness, SoakApp, make_contents
from tests.soak.report import Result, Tally
from transcription.job import Job

BAR = "replaced or deleted in flight"
AT_ONCE = 8
MOST_LATENCY = 0.3  # seconds for a clip; long enough for work on the older content to end last
LONGEST_DELAY = 0.25  # seconds from an upload to the change
CHANGES = ("replaced", "replaced twice", "deleted", "deleted and uploaded again")


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(6)
    runs = harness.number(300, 24)
    with harness.app(recognizer, latency=lambda _: random.uniform(0, MOST_LATENCY)) as app:
        job = app.job(TRANSCRIPT_FORMATS="json,vtt")
        tally = Tally(BAR, runs)
        tally.run_each(lambda number: change_in_flight(app, lambda: job, number, contents), range(runs), AT_ONCE)
        names = {f"{number}.wav" for number in range(runs)}
        for output in app.unexpected_outputs(names):
            tally.count(f"{output} belongs to no upload")
        calls = app.requests
    return tally.result(f"{runs // len(CHANGES)} each {', '.join(CHANGES)}; {calls} Speech calls")


def change_in_flight(app: SoakApp, job: Callable[[], Job], number: int, contents: list[Content]) -> str | None:
    """Upload, change the upload during or after the first delivery, and return the problem in the end.

    Every new content has its own event.
    """
    name, change, dice = f"{number}.wav", CHANGES[number % len(CHANGES)], random.Random(number)
    first, second, third = dice.sample(contents, 3)
    first_etag = app.upload(name, first.wav)
    events = [threading.Thread(target=app.deliver, args=(job, name))]
    events[0].start()
    time.sleep(dice.uniform(0, LONGEST_DELAY))
    current: Content | None = second
    if change.startswith("deleted"):
        app.audio.delete_blob(name)
        current = None
    for content in {"replaced twice": [second, third], "deleted": []}.get(change, [second]):
        app.upload(name, content.wav)
        current = content
        events.append(threading.Thread(target=app.deliver, args=(job, name)))
        events[-1].start()
        time.sleep(dice.uniform(0, LONGEST_DELAY / 2))
    for event in events:
        event.join()
    if current:
        return app.problem(name, current, app.etag(name)) or app.captions_problem(name)
    return problem_after_deletion(app, name, first, first_etag)


def problem_after_deletion(app: SoakApp, name: str, content: Content, etag: str) -> str | None:
    """Return None if there is no document, or the right one, which was finished before the deletion."""
    try:
        app.read(name)
    except ResourceNotFoundError:
        return None
    return app.problem(name, content, etag)
