"""Replaces or deletes uploads during their transcription: the last document belongs to the current content.

Half of the changes come at a random moment. Chance rarely meets the moment between a worker's last check and its write.
So the others come exactly there: one request of the worker to storage is held until the change is made and transcribed.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport

from tests.soak.harness import LONG, SHORT, Content, FastClock, Harness, SoakApp, make_contents
from tests.soak.report import Result, Tally
from transcription.job import Job
from transcription.storage import uploads
from transcription.storage.names import output_name

BAR = "replaced or deleted in flight"
AT_ONCE = 8
MOST_LATENCY = 0.3  # seconds for a clip; long enough for work on the older content to end last
SPEED = 300.0  # of the app's clock; an event that meets a claim comes back in under half a second
LONGEST_DELAY = 0.25  # seconds from an upload to the change
CHANGES = ("replaced", "replaced twice", "deleted", "deleted and uploaded again")
BLOCK_BYTES = 48_000  # of one read here; a recording then takes several, and the change may come between two
HEADER_BYTES = 44  # before the samples, in uploads and in requests


@dataclass(frozen=True)
class Moment:
    """A request of the worker that is held: the first one of that method for that blob, after `skip` others of it."""

    method: str
    output: str | None  # kind of output, or None for the upload itself
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.method} of {self.output or 'the upload'} {self.skip + 1}"


MOMENTS = (
    Moment("GET", None),
    Moment("GET", None, 1),
    Moment("GET", None, 2),
    Moment("PUT", "vtt"),
    Moment("PUT", "json"),
)


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(6, SHORT, LONG)
    runs, rounds = harness.number(300, 24), harness.number(5, 1)
    cases = list(product(range(rounds), MOMENTS, CHANGES, (True, False)))
    tally = Tally(BAR, runs + len(cases))
    with harness.app(recognizer, FastClock(SPEED), latency=lambda _: random.uniform(0, MOST_LATENCY)) as app:
        job = app.job(TRANSCRIPT_FORMATS="json,vtt")
        tally.run_each(lambda number: change_in_flight(app, lambda: job, number, contents), range(runs), AT_ONCE)
        names = {f"{number}.wav" for number in range(runs)}
        for output in app.unexpected_outputs(names):
            tally.count(f"{output} belongs to no upload")
        calls = app.requests
    with harness.app(recognizer, FastClock(SPEED)) as app, mock.patch.object(uploads, "BLOCK_BYTES", BLOCK_BYTES):
        job = app.job(TRANSCRIPT_FORMATS="json,vtt")
        held = HeldChanges(app, job, contents)
        tally.run_each(lambda case: held.problem(*case), cases, at_once=1)
        calls += app.requests
    return tally.result(
        f"{runs // len(CHANGES)} each {', '.join(CHANGES)}, and {len(cases) // len(CHANGES)} each while a request to"
        f" storage is held; {calls} Speech calls"
    )


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


@dataclass
class HeldChanges:
    """Changes that are made and transcribed while a request of the worker on the older content is held."""

    app: SoakApp
    job: Job
    contents: list[Content]

    def problem(self, number: int, moment: Moment, change: str, first_time: bool) -> str | None:
        """Upload, change the upload at this moment, and return the problem in the end.

        Unless it is the `first_time`, the name has outputs of even older content.
        """
        name, app = f"{number} {moment} {change} {first_time}.wav", self.app
        dice = random.Random(name)
        oldest, first, second, third = dice.sample(self.contents, 4)
        if not first_time:
            app.upload(name, oldest.wav)
            app.deliver(lambda: self.job, name)
        first_etag = app.upload(name, first.wav)
        app.endpoint.received.clear()
        new = {"replaced twice": [second, third], "deleted": []}.get(change, [second])

        def change_upload() -> None:
            if change.startswith("deleted"):
                app.audio.delete_blob(name)
            for content in new:
                app.upload(name, content.wav)
                app.deliver(lambda: self.job, name)

        blob = output_name(name, moment.output) if moment.output else name
        with calling_before(moment, blob, change_upload) as met:
            app.deliver(lambda: self.job, name)
        if not met:
            return f"{name}: that request was never made"
        if new:
            return self._mixture(name) or self._problem(name, new) or self._waste(name, moment, new)
        if moment.method == "PUT":  # deleted after the last check: a known limit, but the document must be right
            return problem_after_deletion(app, name, first, first_etag)
        outputs = list(app.transcripts.list_blob_names(name_starts_with=name)) if first_time else []
        return self._mixture(name) or (f"{outputs} belong to deleted content" if outputs else None)

    def _sent(self) -> list[bytes]:
        return [request.audio[HEADER_BYTES:] for request in self.app.endpoint.received]

    def _problem(self, name: str, new: list[Content]) -> str | None:
        return self.app.problem(name, new[-1], self.app.etag(name)) or self.app.captions_problem(name)

    def _mixture(self, name: str) -> str | None:
        """Return a problem if audio was sent that is in no upload as a whole."""
        whole = all(any(audio in content.wav for content in self.contents) for audio in self._sent())
        return None if whole else f"{name}: a clip was sent that mixes two contents"

    def _waste(self, name: str, moment: Moment, new: list[Content]) -> str | None:
        """Return a problem if content that was replaced before its first byte was read cost anything."""
        if moment != MOMENTS[0] or len(new) > 1:
            return None
        calls, needed = len(self._sent()), self.app.read(name)["recognition"]["requests"]
        return None if calls == needed else f"{name}: {calls} Speech calls instead of {needed}"


@contextmanager
def calling_before(moment: Moment, blob: str, change: Callable[[], None]) -> Iterator[list[str]]:
    """Call `change` once, while the chosen request is held. The list that is yielded then has the request's address."""
    send, remaining = RequestsTransport.send, iter(range(moment.skip))
    met: list[str] = []

    def send_later(transport: Any, request: Any, **options: Any) -> Any:
        matches = request.method == moment.method and unquote(urlsplit(request.url).path).endswith(f"/{blob}")
        if matches and not met and next(remaining, None) is None:
            met.append(request.url)
            change()
        return send(transport, request, **options)

    with mock.patch.object(RequestsTransport, "send", send_later):
        yield met
