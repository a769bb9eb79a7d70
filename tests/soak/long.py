"""Gives one process sixteen two-hour recordings at once: one after the other is finished, and all of them are."""

from local.speech import HelloWorld
from local.speech.process import speech_process
from tests.soak.canaries import SPEECH_KEY
from tests.soak.harness import FastClock, Harness, SoakApp
from tests.soak.hosting import QueueHost, clips_problem, talk_of, watched
from tests.soak.report import Result, Tally
from transcription.transcript.model import SUCCEEDED

BAR = "sixteen two-hour recordings"
RECORDINGS, PLACES = 16, 8
MINUTES, BUDGET_MINUTES = 120.0, 50.0
CLIP_SECONDS, QUICK_CLIP_SECONDS = 30.0, 10.0  # each with the pause after it
PAUSE_SECONDS = 1.3
SERVICE = 1 / 3  # seconds per second of audio
FIRST_SHARE, QUICK_FIRST_SHARE = 0.15, 0.3  # of the whole time, until the first recording is done
SPEED, QUICK_SPEED = 30.0, 10.0  # of the app's clock


def run(harness: Harness) -> Result:
    minutes, speed = (4.0, QUICK_SPEED) if harness.quick else (MINUTES, SPEED)
    share = QUICK_FIRST_SHARE if harness.quick else FIRST_SHARE
    tally = Tally(BAR, 2 * RECORDINGS)
    with (
        harness.app(HelloWorld(), FastClock(speed)) as app,
        speech_process(SPEECH_KEY, share=SERVICE / speed) as service,
    ):
        app.environ["AZURE_SPEECH_ENDPOINT"] = service.url  # in a process of its own, because it takes much CPU
        app.environ["SPEECH_MAX_CONCURRENT_REQUESTS"] = str(PLACES)
        app.environ["MAX_PROCESSING_MINUTES"] = str(BUDGET_MINUTES * minutes / MINUTES)
        app.environ["MAX_AUDIO_MINUTES"] = str(1.1 * MINUTES)
        host = QueueHost(app, lambda: job)
        job = app.job()
        clip_seconds = QUICK_CLIP_SECONDS if harness.quick else CLIP_SECONDS
        clips = round(60 * minutes / clip_seconds)
        names = [f"{number:02}.wav" for number in range(RECORDINGS)]
        _upload(app, names, talk_of(clips, clip_seconds - PAUSE_SECONDS))
        started = app.clock.monotonic()
        with watched(app) as seen, host.running():
            tally.run_each(host.event, names, RECORDINGS)
        for name in names:
            tally.count(clips_problem(app, name, clips))
        first, last = (ends - started for ends in (min(seen.values()), max(seen.values())))
        came = host.deliveries.total()
        requests = len(service.received())
        repeated = requests - clips * RECORDINGS
        failed = sorted(name for name, status in seen if status != SUCCEEDED)
        if first > share * last or repeated > PLACES * came or failed or host.poisoned:
            tally.count(f"first after {first / last:.2f}, {repeated} requests too many, {failed}, {host.poisoned}")
    return tally.result(
        f"{RECORDINGS} × {minutes:g} minutes on {PLACES} places: {last / 60:.0f} minutes, the first after"
        f" {first / last:.2f} of that, {came} came again, {repeated} of {requests} requests repeated"
    )


def _upload(app: SoakApp, names: list[str], content: bytes) -> None:
    """Upload the content under each name. Copies take no memory of the storage."""
    app.upload(names[0], content)
    source = app.audio.get_blob_client(names[0]).url
    for name in names[1:]:
        app.audio.get_blob_client(name).start_copy_from_url(source)
