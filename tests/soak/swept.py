"""Loses events, workers, messages and settings: the next sweep that is due brings each document, without any hand."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from local.speech import Fault
from tests.soak.harness import TRIES, Content, Harness, SoakApp, make_contents
from tests.soak.hosting import QueueHost, SteppedClock
from tests.soak.report import Result, Tally
from tests.support.settings import SPEECH_KEY
from tests.support.storage_proxy import StorageProxy, storage_proxy
from transcription.errors import StorageFailed
from transcription.storage.names import output_name
from transcription.storage.queues import AgainMessage

BAR = "healed by the sweep"
CHECKS = 8  # the documents before the sweeps; what each of six sweeps queues; and the wait of two hours
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
RETRY_AFTER = "590"  # seconds; a handful of such answers uses up the time of a recording
MOST_TRIES = 60
LONG_WAIT = 7200.0  # seconds; more than any recording's time
OTHER_KEY = SPEECH_KEY[::-1]

# The causes. EARLY ones leave no document, so a sweep is due ten minutes after the upload. LATE ones leave one that may
# be tried again after a quarter of an hour.
LOST = "lost event"
POISON = "poison"
TWICE_POISON = "poison of the poison"
EXHAUSTED = "exhausted"
KEY = "wrong key put right"
ARCHIVED = "archived and rehydrated"
APPENDED = "append blob filled after its event"
OLD = "dead-lettered event"
EARLY, LATE = (LOST, TWICE_POISON, APPENDED), (POISON, EXHAUSTED, KEY, ARCHIVED)

# No sweep is needed for this one: the queue brings it back.
TOLD = "told to wait for two hours"


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(4, 5.0)
    count = harness.number(25, 2)
    kinds = (*EARLY, *LATE, TOLD, OLD)
    tally = Tally(BAR, len(kinds) * count + CHECKS)
    clock = SteppedClock()
    with harness.app(recognizer, clock) as app, storage_proxy(app.service.url.rstrip("/")) as proxy:
        app.environ["AudioStorage"] = app.environ["AudioStorage"].replace(app.service.url.rstrip("/"), proxy.url)
        healing = _Healing(app, proxy, clock, contents, count)
        for problem in healing.run():
            tally.count(problem)
        for name, content in healing.uploads.items():
            tally.count(app.problem(name, content))
    return tally.result(f"{count} uploads each: {', '.join(kinds)}; {healing.sweeps} sweeps")


class _Healing:
    """Does everything to the uploads that may happen, and then only sweeps and delivers what the sweeps queue."""

    def __init__(
        self, app: SoakApp, proxy: StorageProxy, clock: SteppedClock, contents: Sequence[Content], count: int
    ) -> None:
        self.uploads: dict[str, Content] = {}
        self.sweeps = 0
        self._app, self._proxy, self._clock, self._contents, self._count = app, proxy, clock, contents, count
        self._host = QueueHost(app, lambda: self._job)
        self._job = app.job()
        self._wrong_key = app.job(AZURE_SPEECH_KEY=OTHER_KEY)
        self._job.sweep()  # the app's first; it never touches what is older than an hour at this moment

    def run(self) -> list[str | None]:
        """Return the problem of each sweep, if any."""
        self._upload(*EARLY, *LATE)
        for name in self._names(POISON) + self._names(TWICE_POISON):
            self._give_up(partial(self._event, name))
        for name in self._names(POISON):
            self._job.abandon(self._app.message(name, "0x8D0"))
        for name in self._names(TWICE_POISON):
            self._give_up(partial(self._job.abandon, self._app.message(name, "0x8D0")))
        self._exhaust()
        for name in self._names(KEY):
            self._wrong_key.run(self._app.audio.container_name, name)
        for name in self._names(ARCHIVED):
            blob = self._app.audio.get_blob_client(name)
            blob.set_standard_blob_tier("Archive")
            with suppress(StorageFailed):  # then the document is missing
                self._event(name)
            blob.set_standard_blob_tier("Hot")
        for name in self._names(APPENDED):
            blob = self._app.audio.get_blob_client(name)
            blob.create_append_blob()
            self._event(name)
            blob.append_block(self.uploads[name].wav)
        problems = [
            self._documents_problem(),
            self._sweep(9 * MINUTE),
            self._sweep(11 * MINUTE, *EARLY),
            self._sweep(14 * MINUTE),
            self._sweep(16 * MINUTE, *LATE),
        ]
        problems.append(self._wait_as_told())
        self._upload(OLD)
        return [*problems, self._sweep(DAY + HOUR, OLD), self._sweep(2 * DAY)]

    def _upload(self, *kinds: str) -> None:
        for kind in kinds:
            for number in range(self._count):
                content = self._contents[number % len(self._contents)]
                self.uploads[f"{kind} {number}.wav"] = content
                self._app.upload(f"{kind} {number}.wav", content.wav)

    def _sweep(self, seconds: float, *kinds: str) -> str | None:
        """Sweep so many seconds after the last thing that happened. It must queue the uploads of these kinds only."""
        self.sweeps += 1
        self._clock.ahead = seconds
        self._job.sweep()
        self._clock.ahead = 0.0
        queued = sorted(message.name for message in self._host.queue.take_due())
        expected = sorted(name for kind in kinds for name in self._names(kind))
        for name in queued:
            self._job.again(AgainMessage(name).encode().encode())
        return None if queued == expected else f"after {seconds:.0f} s: {queued} are queued instead of {expected}"

    def _documents_problem(self) -> str | None:
        documents = set(self._app.documents())
        unfinished = {output_name(name) for kind in (*LATE, APPENDED) for name in self._names(kind)}
        wrong = sorted(documents ^ unfinished)
        return f"before the sweeps, these documents are missing, or too many: {wrong}" if wrong else None

    def _wait_as_told(self) -> str | None:
        """Let the service ask for two hours, and do what the queue delivers just before and after that time."""
        self._upload(TOLD)
        for name in self._names(TOLD):
            refusal = Fault.status(429, headers={"Retry-After": f"{LONG_WAIT:.0f}"})
            self._app.endpoint.faults.extend([refusal] * MOST_TRIES)
            self._app.job().run(self._app.audio.container_name, name)  # in a process that has not been refused yet
            self._app.endpoint.faults.clear()
        given_up = set(self._app.documents()) & {output_name(name) for name in self._names(TOLD)}
        self._clock.sleep(LONG_WAIT - MINUTE)
        early = [message.name for message in self._host.queue.take_due()]
        self._clock.sleep(2 * MINUTE)
        came = sorted(message.name for message in self._host.queue.take_due())
        for name in came:
            self._job.again(AgainMessage(name).encode().encode())
        if given_up or early or came != sorted(self._names(TOLD)):
            return f"{TOLD}: {sorted(given_up)} were given up, {early} came early, {came} in time"
        return None

    def _names(self, kind: str) -> list[str]:
        return [f"{kind} {number}.wav" for number in range(self._count)]

    def _event(self, name: str) -> None:
        self._job.run(self._app.audio.container_name, name)

    def _give_up(self, work: Callable[[], None]) -> None:
        """Let storage refuse everything while the host tries five times."""
        self._proxy.rule = lambda *_: (403, "AuthorizationFailure")
        for _ in range(TRIES):
            with pytest.raises(StorageFailed):
                work()
        self._proxy.rule = None

    def _exhaust(self) -> None:
        """Let the service refuse everything until the time is up, and lose the messages about that."""
        for name in self._names(EXHAUSTED):
            self._app.endpoint.faults.extend([Fault.status(503, headers={"Retry-After": RETRY_AFTER})] * MOST_TRIES)
            self._event(name)
            self._app.endpoint.faults.clear()
        self._host.queue.drop()
