"""Runs many short recordings alongside long ones: they do not wait for them, and the long ones finish too.

The long recordings were uploaded first, and together have several times as many requests to send as there are places.
The first two clips of each recording go first, in at most half the places. So the short ones pass the long ones, and
the other half of the places is left to these.
"""

import threading
import time

from local.speech import Script
from tests.soak.harness import Harness, SoakApp
from tests.soak.report import Result, Tally
from tests.support.sound import murmur, wav
from tests.support.words import hello_world

BAR = "long and short side by side"
LATENCY = 0.5  # seconds that the service takes for a clip
CONCURRENCY = 8  # requests in flight
CLIP = murmur(0.8) + bytes(32_000 * 13 // 10)  # the silence is long enough to end the clip
LONG = tuple(f"fr-FR/{number}.wav" for number in range(4))  # together they wait with up to 80 requests
MOST_BEFORE_FIRST = 2 * CONCURRENCY  # long clips answered before the first short one: those in flight, and as many more
MOST_MORE = 3 * CONCURRENCY  # long clips answered before the last short one, beyond one for each short one


def run(harness: Harness) -> Result:
    clips, shorts = harness.number(38, 20), harness.number(50, 10)
    tally = Tally(BAR, shorts + len(LONG) + 2)
    with harness.app(Script(hello_world), latency=lambda _: LATENCY) as app:
        job = app.job(SPEECH_MAX_CONCURRENT_REQUESTS=str(CONCURRENCY))
        names = [f"{number}.wav" for number in range(shorts)]
        for name in LONG:
            app.upload(name, wav(CLIP * clips))
        for name in names:
            app.upload(name, wav(murmur(0.8)))
        long = [threading.Thread(target=job.run, args=(app.audio.container_name, name)) for name in LONG]
        for thread in long:
            thread.start()
        while _answered_clips(app) < CONCURRENCY:  # by then, all requests of the long recordings wait
            time.sleep(0.01)
        answered_before = _answered_clips(app)
        answered: list[int] = []

        def run_short(name: str) -> str | None:
            job.run(app.audio.container_name, name)
            answered.append(_answered_clips(app))
            status = app.read(name)["status"]
            return None if status == "Succeeded" else f"{name}: {status}"

        tally.run_each(run_short, names, at_once=shorts)
        for thread in long:
            thread.join()
        first, last, total = min(answered) - answered_before, max(answered), clips * len(LONG)
        late = first > MOST_BEFORE_FIRST
        tally.count(f"{first} clips of the long ones were answered before the first short one" if late else None)
        late = last > shorts + MOST_MORE
        tally.count(f"{last} of {total} clips were answered before the last short one" if late else None)
        tally.run_each(lambda name: _problem(app, name, clips), LONG, at_once=1)
    return tally.result(
        f"{len(LONG)} recordings of {clips} clips, then {shorts} of one, {CONCURRENCY} in flight: {first} more clips"
        f" were answered when the first short one finished, {last} of {total} when the last one did"
    )


def _answered_clips(app: SoakApp) -> int:
    """Return the number of clips of the long recordings that have an answer."""
    return sum(request.ended > 0 and request.query["language"] == "fr-FR" for request in list(app.endpoint.received))


def _problem(app: SoakApp, name: str, clips: int) -> str | None:
    document = app.read(name)
    if document["status"] != "Succeeded" or len(document["phrases"]) != clips:
        return f"{name}: {document['status']}, {len(document['phrases'])} phrases"
    return None
