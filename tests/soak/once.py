"""Delivers five events for each upload at the same moment, to five workers: each clip is paid for once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from local.speech import HelloWorld
from tests.soak.harness import FastClock, Harness
from tests.soak.hosting import QueueHost, clips_problem, talk_of
from tests.soak.report import Result, Tally
from transcription.job import Job

BAR = "five events at once"
CLIPS, CLIP_SECONDS = 10, 1.0
EVENTS = 5
AT_ONCE = 4  # uploads
LATENCY = 0.05  # seconds, so that all five events are at work together
SPEED = 60.0  # of the app's clock; a message to look again in two minutes appears after two seconds


def run(harness: Harness) -> Result:
    count = harness.number(100, 8)
    tally = Tally(BAR, 2 * count)
    with harness.app(HelloWorld(), FastClock(SPEED), latency=lambda _: LATENCY, keep_audio=False) as app:
        jobs: list[Job] = []
        host = QueueHost(app, lambda: jobs[0])
        jobs += [app.job() for _ in range(EVENTS)]
        names = [f"{number}.wav" for number in range(count)]
        for number, name in enumerate(names):
            app.upload(name, talk_of(CLIPS, CLIP_SECONDS, number))
        with host.running():
            tally.run_each(lambda name: _deliver_at_once(host, jobs, name), names, AT_ONCE)
        passes = len([one for one in app.endpoint.received if one.status == 200]) / CLIPS
        for name in names:
            tally.count(clips_problem(app, name, CLIPS))
        if passes != count or app.progress() or host.poisoned:
            tally.count(f"{passes:.1f} passes, {len(app.progress())} blobs of progress left, {host.poisoned[:3]}")
        repeated = host.deliveries.total()
    return tally.result(f"{count} recordings × {EVENTS} concurrent events: {passes:.1f} passes, {repeated} came again")


def _deliver_at_once(host: QueueHost, jobs: list[Job], name: str) -> str | None:
    """Deliver the event to each worker at the same moment. Return the first problem, if any."""
    start = threading.Barrier(len(jobs))

    def deliver(job: Job) -> str | None:
        start.wait()
        return host.event(name, job)

    with ThreadPoolExecutor(len(jobs)) as pool:
        return next(filter(None, pool.map(deliver, jobs)), None)
