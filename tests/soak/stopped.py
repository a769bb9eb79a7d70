"""Stops the worker of a recording for 90 s: another one takes over, and the first writes nothing when it goes on."""

import os
import signal
import time
from dataclasses import dataclass

from local.speech import HelloWorld
from tests.soak.harness import Harness, SoakApp
from tests.soak.hosting import clips_problem, talk_of
from tests.soak.report import Result, Tally
from tests.soak.worker import Messages, Worker, worker
from tests.support.processes import eventually

BAR = "stopped for 90 s"
PLACES = 4
CLIPS = 40
STOPPED_SECONDS = 90.0
LEASE_SECONDS = 60
NAME = "a.wav"
WAIT_SECONDS = 120.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Case:
    """One course of events. `done`: the second worker has finished when the first goes on."""

    name: str
    done: bool
    latency: float
    quick_latency: float


CASES = (
    Case("goes on when the document is written", True, 1.0, 0.2),
    Case("goes on while the other is at work", False, 6.0, 0.5),
)


def run(harness: Harness) -> Result:
    tally, notes = Tally(BAR, len(CASES)), []

    def run_one(case: Case) -> str | None:
        problem, note = _run(harness, case)
        notes.append(f"{case.name}: {note}")
        return problem

    tally.run_each(run_one, CASES, len(CASES))
    return tally.result("; ".join(sorted(notes)))


def _run(harness: Harness, case: Case) -> tuple[str | None, str]:
    latency = case.quick_latency if harness.quick else case.latency
    with harness.app(HelloWorld(), latency=lambda _: latency, keep_audio=False) as app:
        app.environ["SPEECH_MAX_CONCURRENT_REQUESTS"] = str(PLACES)
        app.upload(NAME, talk_of(CLIPS, 1.0))
        other = {"AZURE_SPEECH_ENDPOINT": app.endpoint.url.replace("127.0.0.1", "localhost")}
        with worker(app, LEASE_SECONDS) as first, worker(app, LEASE_SECONDS, **other) as second:
            first.event(NAME)
            eventually(lambda: app.requests > PLACES)
            os.kill(first.process.pid, signal.SIGSTOP)
            stopped = time.monotonic()
            _take_over(app, second, quick=harness.quick)
            if case.done:
                _expect_end(second)
            if not harness.quick:
                time.sleep(max(0.0, stopped + STOPPED_SECONDS - time.monotonic()))
            written, requests = _written(app), app.requests
            os.kill(first.process.pid, signal.SIGCONT)
            _expect_end(first)
            wrote = _written(app) != written
            if not case.done:
                _expect_end(second)
            later = [one for one in list(app.endpoint.received)[requests:] if "localhost" not in one.headers["host"]]
            seconds = time.monotonic() - stopped
        problem = clips_problem(app, NAME, CLIPS)
        if wrote or app.progress() or len(later) > PLACES:
            problem = f"{case.name}: it wrote: {wrote}, {len(later)} requests, {app.progress()} left; {problem}"
        return problem, f"one document after {seconds:.0f} s, {len(later)} requests by the first, {app.requests} in all"


def _take_over(app: SoakApp, second: Worker, *, quick: bool) -> None:
    """Deliver the event to the second worker, and what it queues, until it is at work."""
    messages, deadline = Messages(app), time.monotonic() + WAIT_SECONDS
    second.event(NAME)
    while not _at_work(app):
        assert time.monotonic() < deadline, "the second worker did not take over"
        if second.said():
            _expect_end(second)
            if quick:
                app.end_claims()  # as a minute does
            while (message := messages.take()) is None:
                time.sleep(POLL_SECONDS)
            second.message(message)
        time.sleep(POLL_SECONDS)


def _at_work(app: SoakApp) -> bool:
    return any("localhost" in one.headers["host"] for one in list(app.endpoint.received))


def _expect_end(process: Worker) -> None:
    said = process.line()
    assert said == "done", said


def _written(app: SoakApp) -> set[tuple[str, str]]:
    """Return the names and ETags of all documents and captions."""
    return {(blob.name, blob.etag) for blob in app.transcripts.list_blobs()}
