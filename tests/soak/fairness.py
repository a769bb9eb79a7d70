"""One long recording, and then many short ones: they do not wait for it, and it gets through as well."""

import threading

from local.speech import Script
from tests.soak.harness import Harness, SoakApp
from tests.soak.report import Result, Tally
from tests.support.sound import murmur, wav
from tests.support.words import hello_world

BAR = "long and short side by side"
LATENCY = 0.5  # seconds that the service takes for a clip
PLACES = 8
CLIP = murmur(0.8) + bytes(32_000 * 13 // 10)  # a clip of its own: the silence behind it is long enough


def run(harness: Harness) -> Result:
    clips, shorts = harness.number(150, 32), harness.number(50, 10)
    tally = Tally(BAR, shorts + 1)
    with harness.app(Script(hello_world), latency=lambda _: LATENCY) as app:
        job = app.job(SPEECH_MAX_CONCURRENT_REQUESTS=str(PLACES))
        app.upload("fr-FR/long.wav", wav(CLIP * clips))
        names = [f"{number}.wav" for number in range(shorts)]
        for name in names:
            app.upload(name, wav(murmur(0.8)))
        long = threading.Thread(target=job.run, args=(app.audio.container_name, "fr-FR/long.wav"))
        long.start()
        while not app.requests:
            threading.Event().wait(0.01)

        def short(name: str) -> str | None:
            job.run(app.audio.container_name, name)
            status = app.read(name)["status"]
            return None if status == "Succeeded" else f"{name}: {status}"

        tally.each(short, names, at_once=shorts)
        done = _answered(app)
        long.join()
        tally.ran(_wrong(app, done, clips))
    return tally.result(
        f"{clips} clips, then {shorts} recordings of one, {PLACES} in flight: the last short one done when {done} of"
        f" {clips} were"
    )


def _answered(app: SoakApp) -> int:
    """Clips of the long recording that have an answer."""
    return sum(request.ended > 0 and request.query["language"] == "fr-FR" for request in list(app.endpoint.received))


def _wrong(app: SoakApp, done: int, clips: int) -> str | None:
    document = app.read("fr-FR/long.wav")
    if document["status"] != "Succeeded" or len(document["phrases"]) != clips:
        return f"the long one: {document['status']}, {len(document['phrases'])} phrases"
    return f"{done} of {clips} were done before the last short one" if 2 * done >= clips else None
