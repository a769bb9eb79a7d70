"""Random runs of everything that happens to uploads, found and made smaller by hypothesis: one right document each.

A crash is a process that dies between two requests to storage: from then on none of its requests is made.
"""

import contextlib
import io
import random
from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import mock

from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from infra import redrive
from local.speech import Fault
from tests.soak.harness import TRIES, Content, FastClock, Harness, SoakApp, contents
from tests.soak.report import Result, Tally, say
from tests.support.words import spoken

BAR = "stateful random runs"
STEPS = 30
LEAST_STEPS = 200 * STEPS  # in all, though not every run has as many
NAMES = ("a.wav", "fr-FR/b.wav", "c")
SPEED = 2000.0  # times as fast as outside: the waits between tries take milliseconds
MOST_REQUESTS = 9  # of one run to storage; the process dies before one of them
FAULTS: dict[str, list[Fault]] = {
    "503": [Fault.status(503)] * 3,
    "429": [Fault.status(429, headers={"Retry-After": "2"})],
    "401": [Fault.status(401)],
    "400": [Fault.status(400, b"no")],
    "reset": [Fault.reset("during"), Fault.reset("after")],
    "truncated": [Fault.truncated(), Fault.cut_json()],
    "error": [Fault.document({"RecognitionStatus": "Error"})],
    "late": [Fault.slow(0.02)],
}
TRULY_FINAL = {"RequestRefused"}  # what a 400 makes of a recording until it is uploaded again


class Died(BaseException):
    """The process is gone: nothing of it catches this."""


class Counts:
    steps = examples = 0


class Uploads(RuleBasedStateMachine):
    """What is uploaded, what events are on their way, and the documents that must come of them."""

    app: ClassVar[SoakApp]
    contents: ClassVar[list[Content]]

    def __init__(self) -> None:
        super().__init__()
        self.there: dict[str, Content] = {}
        self.ever: dict[tuple[str, str], Content] = {}
        self.events: list[str] = []
        self.refused: set[str] = set()
        self.job = self.app.job(TRANSCRIPT_FORMATS="json,vtt")

    @initialize()
    def begin(self) -> None:
        Counts.examples += 1
        if Counts.examples % 40 == 0:
            say(f"  {BAR}: {Counts.examples} runs, {Counts.steps} steps")
        self.app.endpoint.faults.clear()
        for container in (self.app.audio, self.app.transcripts):
            for name in list(container.list_blob_names()):
                container.delete_blob(name)

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 3))
    def upload(self, name: str, number: int) -> None:
        """New, or in place of what is there."""
        Counts.steps += 1
        content = self.contents[number]
        etag = self.app.upload(name, content.wav)
        self.there[name] = self.ever[name, etag] = content
        self.events.append(name)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        Counts.steps += 1
        if self.there.pop(name, None):
            self.app.audio.delete_blob(name)

    @rule(dice=st.randoms(use_true_random=False))
    def deliver(self, dice: random.Random) -> None:
        """One event on its way; in any order."""
        Counts.steps += 1
        if self.events:
            self._deliver(self.events.pop(dice.randrange(len(self.events))))

    @rule(name=st.sampled_from(NAMES))
    def duplicate(self, name: str) -> None:
        """An event for what may be done, or gone."""
        Counts.steps += 1
        self._deliver(name)

    @rule(name=st.sampled_from(NAMES), requests=st.integers(0, MOST_REQUESTS))
    def crash(self, name: str, requests: int) -> None:
        """The process dies under it; the host delivers to the next process."""
        Counts.steps += 1
        with contextlib.suppress(Died), dying(requests):
            self.job.run(self.app.audio.container_name, name)
        self.job = self.app.job(TRANSCRIPT_FORMATS="json,vtt")
        self.events.append(name)
        self._sane(name)

    @rule(kind=st.sampled_from(sorted(FAULTS)))
    def fault(self, kind: str) -> None:
        """Meets the next recognitions."""
        Counts.steps += 1
        self.app.endpoint.faults.extend(FAULTS[kind])

    @rule(name=st.sampled_from(NAMES))
    def give_up(self, name: str) -> None:
        """The host is out of tries, for whatever reason. A document of what is there by now stays."""
        Counts.steps += 1
        before = self._sane(name)
        self.job.abandon(self.app.message(name, "0x8D0"))
        after = self._sane(name)
        if before and name in self.there and before["source"]["etag"] == self.app.etag(name):
            assert after == before, f"{name}: {after} in place of {before}"

    @rule()
    def redrive(self) -> None:
        Counts.steps += 1
        self._redrive()

    def _redrive(self) -> None:
        """Its copies are new uploads of the same content, with events of their own."""
        environ = {name: self.app.environ[name] for name in ("AudioStorage", "AUDIO_CONTAINER", "TRANSCRIPT_CONTAINER")}
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            assert redrive.main([], environ) == 0, said.getvalue()
        self.app.canaries.look(said.getvalue(), "what redrive says")
        for name, content in self.there.items():
            etag = self.app.etag(name)
            if (name, etag) not in self.ever:
                self.ever[name, etag] = content
                self.events.append(name)

    def _deliver(self, name: str) -> None:
        if self.app.deliver(lambda: self.job, name) > TRIES:
            self.job.abandon(self.app.message(name, "0x8D0"))
        self._sane(name)

    def _sane(self, name: str) -> Any:
        """At every moment: whatever document there is, it is one of that upload's contents, and no word of it is
        wrong. The document, if there is one.
        """
        try:
            document = self.app.read(name)
        except ResourceNotFoundError:
            return None
        content = self.ever[name, document["source"]["etag"]]
        words = tuple(spoken(document["text"]))
        assert document["status"] != "Succeeded" or words == content.words, f"{name}: {words}"
        assert set(words) <= set(content.words), f"{name}: {words}"
        return document

    def teardown(self) -> None:
        """When all events are delivered, and what failed was delivered again: one right document for each upload."""
        self.app.endpoint.faults.clear()
        while self.events:
            self._deliver(self.events.pop())
        self._redrive()
        while self.events:
            self._deliver(self.events.pop())
        wrong = [self._wrong(name, content) for name, content in self.there.items()]
        wrong += self.app.strangers(set(NAMES), kinds=("vtt",))
        assert not any(wrong), wrong

    def _wrong(self, name: str, content: Content) -> str | None:
        document = self.app.read(name)
        reasons = {document.get("error", {}).get("code"), *(gap["reason"] for gap in document["gaps"])}
        if reasons & TRULY_FINAL:
            return None if document["source"]["etag"] == self.app.etag(name) else f"{name}: refused, and of old content"
        return self.app.right(name, content, self.app.etag(name)) or self.app.captions_wrong(name)


@contextlib.contextmanager
def dying(requests: int) -> Iterator[None]:
    """After so many requests to storage the process makes no more, whoever asks."""
    send, left = RequestsTransport.send, iter(range(requests))

    def mortal(transport: Any, request: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise Died
        return send(transport, request, **kwargs)

    with mock.patch.object(RequestsTransport, "send", mortal):
        yield


def run(harness: Harness) -> Result:
    found, recognizer = contents(4, 4.5)
    runs = harness.number(250, 6)  # of up to STEPS each
    Counts.steps = Counts.examples = 0
    tally = Tally(BAR, runs)
    with harness.app(recognizer, FastClock(SPEED)) as app:
        Uploads.app, Uploads.contents = app, found
        problem = _explore(runs)
        for number in range(max(1, Counts.examples)):
            tally.ran(problem if number == 0 else None)
        calls = app.requests
    if not harness.quick and Counts.steps < LEAST_STEPS:
        tally.ran(f"{Counts.steps} steps, and not {LEAST_STEPS}")
    return tally.result(f"{Counts.steps} steps in {Counts.examples} runs of up to {STEPS}; {calls} Speech calls")


def _explore(runs: int) -> str | None:
    asked = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    try:
        run_state_machine_as_test(Uploads, settings=asked)
    except AssertionError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    return None
