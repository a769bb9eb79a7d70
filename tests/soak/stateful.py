"""Random sequences of everything that can happen to uploads: in the end, each has one right document.

hypothesis generates the sequences and shrinks those that fail. A crash is simulated: from a random request to storage
on, the process makes no more requests.
"""

import base64
import contextlib
import io
import json
import random
import threading
from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import mock

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import QueueClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from infra import redrive
from local.progress import say
from local.speech import Fault
from tests.soak.harness import LONG, Content, FastClock, Harness, SoakApp, make_contents
from tests.soak.report import Result, Tally
from tests.support.sweeping import DatedClock
from tests.support.words import spoken
from transcription.recovery.sweep import YOUNGEST
from transcription.storage.queues import AGAIN_QUEUE

BAR = "stateful random runs"
STEPS = 30
LEAST_STEPS = 200 * STEPS  # in all runs together; many runs have fewer than STEPS
NAMES = ("a.wav", "fr-FR/b.wav", "c")
SPEED = 2000.0  # of the app's clock; the waits between tries then take milliseconds
MOST_REQUESTS = 9  # to storage before a crash; a whole run makes no more
FAULTS: dict[str, list[Fault]] = {
    "503": [Fault.status(503)] * 3,
    "429": [Fault.status(429, headers={"Retry-After": "2"})],
    "401": [Fault.status(401)],
    "400": [Fault.status(400, b"Unsupported audio format")],
    "reset": [Fault.reset("during"), Fault.reset("after")],
    "truncated": [Fault.truncated(), Fault.cut_json()],
    "error": [Fault.document({"RecognitionStatus": "Error"})],
    "late": [Fault.slow(0.02)],
}
FINAL_CODES = {"RequestRefused"}  # of a 400; only a new upload helps


class Crash(BaseException):
    """The end of the process. The app catches no BaseException."""


class Counts:
    """Counts over all runs."""

    steps = runs = 0


class Uploads(RuleBasedStateMachine):
    """The model: the current uploads, the pending events, and the right documents."""

    app: ClassVar[SoakApp]
    messages: ClassVar[QueueClient]  # those of redrive
    contents: ClassVar[list[Content]]

    def __init__(self) -> None:
        super().__init__()
        self.current: dict[str, Content] = {}
        self.contents_by_etag: dict[tuple[str, str], Content] = {}  # (name, ETag) → content, of all uploads ever
        self.events: list[str] = []
        self.job = self.app.job(TRANSCRIPT_FORMATS="json,vtt")

    @initialize()
    def begin(self) -> None:
        """Begin with an upload under each name. Otherwise most steps would meet no upload at all."""
        Counts.runs += 1
        if Counts.runs % 40 == 0:
            say(f"  {BAR}: {Counts.runs} runs, {Counts.steps} steps")
        self.app.endpoint.faults.clear()
        for container in (self.app.audio, self.app.transcripts, self.app.work):
            with contextlib.suppress(ResourceNotFoundError):
                for name in list(container.list_blob_names()):
                    container.delete_blob(name)
        for number, name in enumerate(NAMES):
            self._upload(name, self.contents[number])

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 3))
    def upload(self, name: str, number: int) -> None:
        """Upload a new recording or replace one."""
        Counts.steps += 1
        self._upload(name, self.contents[number])

    def _upload(self, name: str, content: Content) -> None:
        etag = self.app.upload(name, content.wav)
        self.current[name] = self.contents_by_etag[name, etag] = content
        self.events.append(name)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        Counts.steps += 1
        if self.current.pop(name, None):
            self.app.audio.delete_blob(name)

    @rule(dice=st.randoms(use_true_random=False))
    def deliver(self, dice: random.Random) -> None:
        """Deliver one of the pending events, in any order."""
        Counts.steps += 1
        if self.events:
            self._deliver(self.events.pop(dice.randrange(len(self.events))))

    @rule(name=st.sampled_from(NAMES))
    def duplicate(self, name: str) -> None:
        """Deliver one more event for an upload that may be finished or gone."""
        Counts.steps += 1
        self._deliver(name)

    @rule(name=st.sampled_from(NAMES), requests=st.integers(0, MOST_REQUESTS))
    def crash(self, name: str, requests: int) -> None:
        """Crash the process during a delivery. The host delivers again, to a new process."""
        Counts.steps += 1
        with contextlib.suppress(Crash), crashing_after(requests):
            self.job.run(self.app.audio.container_name, name)
        self.app.end_claims()  # they would end within a minute; the app's clock runs faster than storage's
        self.job = self.app.job(TRANSCRIPT_FORMATS="json,vtt")
        self.events.append(name)
        self._checked_document(name)

    @rule(kind=st.sampled_from(sorted(FAULTS)))
    def fault(self, kind: str) -> None:
        """Let the next requests to the Speech service meet this fault."""
        Counts.steps += 1
        self.app.endpoint.faults.extend(FAULTS[kind])

    @rule(name=st.sampled_from(NAMES))
    def give_up(self, name: str) -> None:
        """Let the host give up on an upload. A document of the current content must stay."""
        Counts.steps += 1
        before = self._checked_document(name)
        self.job.abandon(self.app.message(name, "0x8D0"))
        after = self._checked_document(name)
        if before and name in self.current and before["source"]["etag"] == self.app.etag(name):
            assert after == before, f"{name}: {after} replaced {before}"

    @rule()
    def redrive(self) -> None:
        Counts.steps += 1
        self._redrive()

    def _redrive(self) -> None:
        """Run redrive, ten minutes later, and deliver what it has queued."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            assert redrive.main([], self.app.environ, DatedClock(YOUNGEST)) == 0, output.getvalue()
        self.app.canaries.search(output.getvalue(), "the output of redrive")
        for message in self.messages.receive_messages(messages_per_page=32):
            self.messages.delete_message(message)
            content = base64.b64decode(message.content)
            self.app.deliver_again(lambda: self.job, content)
            self._checked_document(json.loads(content)["name"])

    def _deliver(self, name: str) -> None:
        self.app.deliver(lambda: self.job, name)
        self._checked_document(name)

    def _checked_document(self, name: str) -> Any:
        """Return the document, or None if there is none.

        It must always belong to some content of that upload and have no wrong words.
        """
        try:
            document = self.app.read(name)
        except ResourceNotFoundError:
            return None
        content = self.contents_by_etag[name, document["source"]["etag"]]
        words = tuple(spoken(document["text"]))
        assert document["status"] != "Succeeded" or words == content.words, f"{name}: {words}"
        assert set(words) <= set(content.words), f"{name}: {words}"
        return document

    def teardown(self) -> None:
        """Deliver all events, redrive the failures, and check that each upload has one right document."""
        self.app.endpoint.faults.clear()
        while self.events:
            self._deliver(self.events.pop())
        self._redrive()
        problems = [self._problem(name, content) for name, content in self.current.items()]
        problems += self.app.unexpected_outputs(set(NAMES), kinds=("vtt",))
        assert not any(problems), problems

    def _problem(self, name: str, content: Content) -> str | None:
        document = self.app.read(name)
        reasons = {document.get("error", {}).get("code"), *(gap["reason"] for gap in document["gaps"])}
        if reasons & FINAL_CODES:
            return None if document["source"]["etag"] == self.app.etag(name) else f"{name}: refused, for old content"
        return self.app.problem(name, content, self.app.etag(name)) or self.app.captions_problem(name)


@contextlib.contextmanager
def crashing_after(requests: int) -> Iterator[None]:
    """Raise Crash in place of every request to storage after the first `requests`, on any thread."""
    send, remaining = RequestsTransport.send, iter(range(requests))

    def send_or_crash(transport: Any, request: Any, **kwargs: Any) -> Any:
        if next(remaining, None) is None:
            raise Crash
        return send(transport, request, **kwargs)

    def ignore_crash(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_type is not Crash:
            threading.__excepthook__(arguments)

    with (
        mock.patch.object(RequestsTransport, "send", send_or_crash),
        mock.patch.object(threading, "excepthook", ignore_crash),
    ):
        yield


@contextlib.contextmanager
def again_queue(harness: Harness) -> Iterator[QueueClient]:
    """Yield the queue that redrive writes to, empty at the start."""
    with QueueClient.from_connection_string(harness.connection, AGAIN_QUEUE) as queue:
        with contextlib.suppress(ResourceExistsError):
            queue.create_queue()
        queue.clear_messages()
        yield queue


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(4, 4.5, LONG)
    runs = harness.number(250, 6)
    Counts.steps = Counts.runs = 0
    tally = Tally(BAR, runs)
    with harness.app(recognizer, FastClock(SPEED)) as app, again_queue(harness) as messages:
        Uploads.app, Uploads.contents, Uploads.messages = app, contents, messages
        problem = _explore(runs, shrink=not harness.quick)
        for number in range(max(1, Counts.runs)):
            tally.count(problem if number == 0 else None)
        calls = app.requests
    if not harness.quick and Counts.steps < LEAST_STEPS:
        tally.count(f"{Counts.steps} steps, fewer than {LEAST_STEPS}")
    return tally.result(f"{Counts.steps} steps in {Counts.runs} runs of up to {STEPS}; {calls} Speech calls")


def _explore(runs: int, *, shrink: bool) -> str | None:
    """Run the state machine `runs` times, and return the failure with the steps that lead to it, if any.

    `shrink` looks for the fewest such steps, which takes minutes.
    """
    options = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    try:
        run_state_machine_as_test(Uploads, settings=options)
    except AssertionError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    return None
