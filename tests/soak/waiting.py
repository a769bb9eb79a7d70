"""Gives recordings too little time: what one invocation leaves, the next one does, and nobody sees a failure."""

from local.speech import HelloWorld
from tests.soak.harness import FastClock, Harness, SoakApp
from tests.soak.hosting import QueueHost, clips_problem, paid_twice, talk_of, watched
from tests.soak.report import Result, Tally
from tests.support.processes import eventually
from transcription.transcript.model import FAILED

AT_ONCE = 16  # events that the host delivers in parallel

STARVED = "sixteen recordings, one turn"
CLIPS = 3
LATENCY = 0.4  # budgets, for a clip; the only place gives turns to one or two recordings within a budget
SPEED = 10.0  # of the app's clock

LONG = "more work than a budget"
PLACES = 4


def run_starved(harness: Harness) -> Result:
    recordings, seconds = harness.number(16, 4), harness.number(4, 2)
    tally = Tally(STARVED, 2 * recordings)
    with harness.app(HelloWorld(), FastClock(SPEED), latency=lambda _: LATENCY * seconds, keep_audio=False) as app:
        app.environ |= _budget(SPEED * seconds) | {"SPEECH_MAX_CONCURRENT_REQUESTS": "1"}
        host = QueueHost(app, lambda: job)
        job = app.job()
        names = [f"{number:02}.wav" for number in range(recordings)]
        for number, name in enumerate(names):
            app.upload(name, talk_of(CLIPS, 1.0, number))

        def deliver(name: str) -> str | None:
            if name != names[0]:
                eventually(lambda: app.requests > 0)  # the place is taken
            return host.event(name)

        with watched(app) as seen, host.running():
            tally.run_each(deliver, names, AT_ONCE)
        _check(tally, app, host, dict.fromkeys(names, CLIPS), most_repeated=host.deliveries.total())
        if failed := sorted(name for name, status in seen if status == FAILED):
            tally.count(f"documents that had failed for a while: {failed}")
        came = host.deliveries.total()
    return tally.result(f"{recordings} recordings, {CLIPS * recordings} clips in turn: {came} came again, none failed")


def run_long(harness: Harness) -> Result:
    """Use the real clock: a request that is in flight when the time is up ends then."""
    seconds = harness.number(20, 2)
    work, clips = harness.number(120, 6), harness.number(160, 60)
    clip_seconds = work * PLACES / clips
    tally = Tally(LONG, 2)
    with harness.app(HelloWorld(), FastClock(1.0), latency=lambda _: clip_seconds, keep_audio=False) as app:
        app.environ |= _budget(seconds) | {"SPEECH_MAX_CONCURRENT_REQUESTS": str(PLACES)}
        host = QueueHost(app, lambda: job)
        job = app.job()
        app.upload("a.wav", talk_of(clips, 1.0))
        with host.running():
            tally.run_each(host.event, ["a.wav"], 1)
        _check(tally, app, host, {"a.wav": clips}, most_repeated=PLACES * host.deliveries["a.wav"])
        sent, came = app.requests, host.deliveries["a.wav"]
    return tally.result(
        f"a budget of {seconds} s for {work} s of work: {1 + came} invocations,"
        f" {sent} requests for {clips} clips, at most {PLACES} in flight"
    )


def _budget(seconds: float) -> dict[str, str]:
    return {"MAX_PROCESSING_MINUTES": str(seconds / 60)}


def _check(tally: Tally, app: SoakApp, host: QueueHost, uploads: dict[str, int], most_repeated: int = 0) -> None:
    """Count documents that are not complete, clips that were sent too often, and messages that failed."""
    for name, clips in uploads.items():
        tally.count(clips_problem(app, name, clips))
    repeated = app.requests - sum(uploads.values())
    if repeated > most_repeated or paid_twice(app) > most_repeated:
        tally.count(f"{repeated} requests too many, {paid_twice(app)} of them answered")
    if host.poisoned or app.progress():
        tally.count(f"{len(host.poisoned)} messages failed, {len(app.progress())} blobs of progress are left")
