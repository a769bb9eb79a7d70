"""Kills the worker of a long recording five times: the next one goes on, and the document is the same as without."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from tests.soak.harness import Content, Harness, SoakApp, make_contents
from tests.soak.report import Result, Tally
from tests.soak.worker import Messages, Worker, worker
from tests.support.processes import eventually

BAR = "killed five times"
PLACES = 4
LATENCY = 0.5  # seconds for a clip
LEASE_SECONDS = 15  # of a claim; storage allows no less
BOOKING_SECONDS = 0.3  # that an answer may take from the service to the progress
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.02
OWN = ("createdAt", "source", "recognition")  # fields of a document that differ from one run to the next
CHECKS = 4
SAME = ("audioSecondsSent", "endpoint")  # of `recognition`


@dataclass
class _Run:
    """The counts of one recording. `in_flight` are the requests that were in flight at a kill."""

    kills: int = 0
    in_flight: int = 0
    deliveries: int = 0


def run(harness: Harness) -> Result:
    kills = harness.number(5, 2)
    contents, recognizer = make_contents(1, harness.number(600, 60))
    tally = Tally(BAR, CHECKS)
    with harness.app(recognizer, latency=lambda _: LATENCY, keep_audio=False) as app:
        app.environ["SPEECH_MAX_CONCURRENT_REQUESTS"] = str(PLACES)
        calm = _undisturbed(app, contents[0])
        clips = app.requests
        app.upload("killed.wav", contents[0].wav)
        run = _Killing(app, clips, kills, harness.quick).run("killed.wav")
        answered = sum(request.status == 200 for request in list(app.endpoint.received)[clips:])
        repeated = answered - clips
        tally.count(app.problem("killed.wav", contents[0]))
        tally.count(f"{repeated} clips answered twice, but not in flight" if repeated > run.in_flight else None)
        same = _comparable(app.read("killed.wav")) == _comparable(calm)
        tally.count(None if same else "the document differs from that of a worker that was left alone")
        tally.count(f"{app.progress()} are left" if app.progress() else None)
    return tally.result(
        f"{run.kills} SIGKILLs, {run.deliveries} deliveries: {answered} answers to {clips} clips,"
        f" {run.in_flight} in flight at a kill; the same document"
    )


def _undisturbed(app: SoakApp, content: Content) -> Any:
    """Return the document of a worker that is left alone."""
    app.upload("calm.wav", content.wav)
    with worker(app, LEASE_SECONDS) as process:
        process.event("calm.wav")
        assert process.line() == "done"
    return app.read("calm.wav")


class _Killing:
    """Kills the workers of one recording, each after some more answers. The last one is left alone."""

    def __init__(self, app: SoakApp, clips: int, kills: int, quick: bool) -> None:
        self._app = app
        self._random = random.Random(13)
        self._first = app.requests
        # The first two clips are answered before anything is kept.
        self._targets = sorted(self._random.sample(range(2, clips - PLACES), kills))
        self._quick = quick
        self._messages = Messages(app)
        self._run = _Run()

    def run(self, name: str) -> _Run:
        for target in self._targets:
            with worker(self._app, LEASE_SECONDS) as process:
                self._work(process, name, target)
                process.process.kill()
            self._note_kill()
        with worker(self._app, LEASE_SECONDS) as process:
            self._work(process, name, None)
        return self._run

    def _work(self, process: Worker, name: str, target: int | None) -> None:
        """Deliver the event, and then what the worker queues, until so many requests are answered, or all."""
        deadline = time.monotonic() + WAIT_SECONDS
        process.event(name)
        with ThreadPoolExecutor(1) as pool:
            while time.monotonic() < deadline:
                self._run.deliveries += 1
                said = pool.submit(process.line)
                while not said.done():
                    if target is not None and self._answered() >= target:
                        time.sleep(self._random.uniform(0, LATENCY))
                        process.process.kill()
                        return
                    time.sleep(POLL_SECONDS)
                assert said.result() == "done", said.result()
                if target is None and _exists(self._app, name):
                    return
                process.message(self._next_message(deadline))

    def _next_message(self, deadline: float) -> str:
        """Wait for a message: another worker's claim had not ended."""
        if self._quick:
            self._app.end_claims()  # as a quarter of a minute does
        while (message := self._messages.take()) is None:
            assert time.monotonic() < deadline, "no message appeared"
            time.sleep(POLL_SECONDS)
        return message

    def _answered(self) -> int:
        return sum(request.status == 200 for request in list(self._app.endpoint.received)[self._first :])

    def _note_kill(self) -> None:
        now = time.monotonic()
        requests = list(self._app.endpoint.received)[self._first :]
        self._run.kills += 1
        self._run.in_flight += sum(not one.ended or one.ended > now - BOOKING_SECONDS for one in requests)
        eventually(lambda: all(one.ended for one in requests))


def _exists(app: SoakApp, name: str) -> bool:
    try:
        app.read(name)
    except ResourceNotFoundError:
        return False
    return True


def _comparable(document: Any) -> Any:
    """Return the fields of a document that do not depend on the run."""
    recognition = {key: document["recognition"][key] for key in SAME}
    return {key: value for key, value in document.items() if key not in OWN} | recognition
