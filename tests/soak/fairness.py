"""Runs many short recordings alongside a long one: they do not wait for it, and it finishes too."""

import threading

from local.speech import Script
from tests.soak.harness import Harness, SoakApp
from tests.soak.report import Result, Tally
from tests.support.sound import murmur, wav
from tests.support.words import hello_world

BAR = "long and short side by side"
LATENCY = 0.5  # seconds that the service takes for a clip
CONCURRENCY = 8  # requests in flight
CLIP = murmur(0.8) + bytes(32_000 * 13 // 10)  # the silence is long enough to end the clip
LONG = "fr-FR/long.wav"


def run(harness: Harness) -> Result:
    clips, shorts = harness.number(150, 32), harness.number(50, 10)
    tally = Tally(BAR, shorts + 1)
    with harness.app(Script(hello_world), latency=lambda _: LATENCY) as app:
        job = app.job(SPEECH_MAX_CONCURRENT_REQUESTS=str(CONCURRENCY))
        app.upload(LONG, wav(CLIP * clips))
        names = [f"{number}.wav" for number in range(shorts)]
        for name in names:
            app.upload(name, wav(murmur(0.8)))
        long = threading.Thread(target=job.run, args=(app.audio.container_name, LONG))
        long.start()
        while not app.requests:
            threading.Event().wait(0.01)

        def run_short(name: str) -> str | None:
            job.run(app.audio.container_name, name)
            status = app.read(name)["status"]
            return None if status == "Succeeded" else f"{name}: {status}"

        tally.run_each(run_short, names, at_once=shorts)
        answered = _answered_clips(app)
        long.join()
        tally.count(_problem(app, answered, clips))
    return tally.result(
        f"{clips} clips, then {shorts} recordings of one, {CONCURRENCY} in flight: {answered} of {clips} were answered"
        " when the last short one finished"
    )


def _answered_clips(app: SoakApp) -> int:
    """Return the number of clips of the long recording that have an answer."""
    return sum(request.ended > 0 and request.query["language"] == "fr-FR" for request in list(app.endpoint.received))


def _problem(app: SoakApp, answered: int, clips: int) -> str | None:
    document = app.read(LONG)
    if document["status"] != "Succeeded" or len(document["phrases"]) != clips:
        return f"the long recording: {document['status']}, {len(document['phrases'])} phrases"
    return f"{answered} of {clips} clips were answered before the last short one" if 2 * answered >= clips else None
