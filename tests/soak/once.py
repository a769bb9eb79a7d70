"""Delivers five events for each upload at the same moment, to five workers: each clip is paid for once."""

import threading

from local.speech import HelloWorld
from tests.soak.harness import FastClock, Harness, SoakApp
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
    tally = Tally(BAR, count)
    with harness.app(HelloWorld(), FastClock(SPEED), latency=lambda _: LATENCY, keep_audio=False) as app:
        jobs: list[Job] = []
        host = QueueHost(app, lambda: jobs[0])
        jobs += [app.job() for _ in range(EVENTS)]
        names = [f"{number}.wav" for number in range(count)]
        for number, name in enumerate(names):
            app.upload(name, talk_of(CLIPS, CLIP_SECONDS, number))
        tries: dict[str, list[int]] = {}
        with host.running():
            tally.run_each(lambda name: tries.update({name: _deliver_at_once(app, jobs, name)}), names, AT_ONCE)
        passes = len([one for one in app.endpoint.received if one.status == 200]) / CLIPS
        for name in names:
            problem = f"{name}: {tries[name]} tries" if max(tries[name]) > 1 else clips_problem(app, name, CLIPS)
            if problem:
                tally.count(problem)
        if passes != count or app.progress() or host.poisoned:
            tally.count(f"{passes:.1f} passes, {len(app.progress())} blobs of progress left, {host.poisoned[:3]}")
        repeated = sum(host.deliveries.values())
    return tally.result(f"{count} recordings × {EVENTS} concurrent events: {passes:.1f} passes, {repeated} came again")


def _deliver_at_once(app: SoakApp, jobs: list[Job], name: str) -> list[int]:
    """Deliver the event to each worker at the same moment. Return the tries that each needed."""
    start, tries = threading.Barrier(len(jobs)), []

    def deliver(job: Job) -> None:
        start.wait()
        tries.append(app.deliver(lambda: job, name))

    threads = [threading.Thread(target=deliver, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tries
