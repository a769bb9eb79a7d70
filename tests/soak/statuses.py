"""Answers with every status and every Retry-After, plain and over TLS: some are retried, the others are final."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from itertools import cycle

from local.speech import Fault, Script, SpeechEndpoint, Word
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.soak.harness import Harness
from tests.soak.report import Result, Tally
from tests.soak.sockets import authority
from tests.support.clock import FakeClock
from tests.support.secrets import ENCODINGS
from tests.support.speech_client import Caller
from transcription.errors import Exhausted, Misconfigured, RequestRefused, TranscriptionError
from transcription.speech.refusals import NO_ROOM

BAR = "status codes × Retry-After"
RETRYABLE = (408, 429, 500, 502, 503, 504)
FINAL: dict[int, type[TranscriptionError]] = {
    401: Misconfigured,
    403: Misconfigured,
    404: Misconfigured,
    400: Misconfigured,  # it does not say that it is about the audio
    **dict.fromkeys((402, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431, 451), RequestRefused),
}
ECHOES = cycle(encode(f"Denied for {SPEECH_KEY}") for encode in ENCODINGS.values())  # bodies that repeat the key
BACKOFF = (0.75, 1.25)  # seconds; the first wait, with its jitter
LEAST_GATE = (0.375, 0.625)  # seconds; the same after a refusal, while no more than one request may be in flight


@dataclass(frozen=True)
class Cell:
    """A value of Retry-After, and the seconds of the wait that it asks for.

    `seconds` is 0 if it asks for none, and None if the wait does not fit into the budget.
    """

    retry_after: str | None
    seconds: float | None = 0.0

    def waits(self, status: int) -> tuple[float, float] | None:
        """Return the shortest and the longest wait after this status."""
        if self.seconds == 0:
            return LEAST_GATE if status in NO_ROOM else BACKOFF
        return None if self.seconds is None else (self.seconds, self.seconds)


def cells(clock: FakeClock) -> list[Cell]:
    def date(seconds: float) -> str:
        return format_datetime(clock.now() + timedelta(seconds=seconds), usegmt=True)

    return [
        Cell(None),
        Cell("7", 7),
        Cell("120", 120),
        Cell(date(90), 90),
        Cell("86400", None),
        Cell("9" * 40, None),
        Cell(date(86_400), None),
        Cell("0"),
        Cell("-5"),
        Cell("1.5e3"),
        Cell("soon"),
        Cell(""),
        Cell("Thu, 99 Foo 2026 99:99:99 GMT"),
        Cell(date(-3600)),
    ]


def run(harness: Harness) -> Result:
    chosen = cells(FakeClock())[:: harness.number(1, 3)]
    statuses = [*RETRYABLE, *FINAL]
    cases = [(cell, status, secure) for secure in (False, True) for cell in chosen for status in statuses]
    tally = Tally(BAR, len(cases))
    with services(harness.canaries) as clients:
        tally.run_each(lambda case: clients[case[2]].problem(case[0], case[1]), cases, at_once=1)
    return tally.result(f"{len(statuses)} codes × {len(chosen)} headers, plain and TLS, as the service's rules say")


@dataclass
class Service:
    """An endpoint. Each request to it has a client and a clock of its own."""

    endpoint: SpeechEndpoint
    canaries: Canaries

    def problem(self, cell: Cell, status: int) -> str | None:
        """Send one request that meets this status, and return the problem with the reaction, if any."""
        headers = {} if cell.retry_after is None else {"Retry-After": cell.retry_after}
        clock = FakeClock()  # the dates in the cells count from its start
        self.endpoint.received.clear()
        self.endpoint.faults.append(Fault.status(status, next(ECHOES), headers))
        error = self._recognize(clock)
        self.canaries.search(repr(error), "an exception")
        waited, requests = clock.slept, len(self.endpoint.received)
        expected: type[Exception] | None = FINAL.get(status)
        waits: tuple[float, float] | None = None
        if status in RETRYABLE:
            waits = cell.waits(status)
            expected = None if waits else Exhausted
        right = type(error) is (expected or type(None)) and requests == (2 if waits else 1)
        right &= len(waited) == 1 and waits[0] <= waited[0] <= waits[1] if waits else not waited
        outcome = f"{error!r}, {requests} requests, waits {waited}"
        return None if right else f"{status} with Retry-After {cell.retry_after!r}: {outcome}"

    def _recognize(self, clock: FakeClock) -> TranscriptionError | None:
        settings = {"AZURE_SPEECH_KEY": SPEECH_KEY, "SPEECH_MAX_CONCURRENT_REQUESTS": "1"}
        try:
            Caller(self.endpoint, clock, **settings)()
        except TranscriptionError as error:
            return error
        return None


@contextmanager
def services(canaries: Canaries) -> Iterator[dict[bool, Service]]:
    """Yield a plain service under False, and one with TLS under True."""
    recognizer = Script([Word("hello", 0.0, 0.2)])
    with authority() as tls, ExitStack() as endpoints:
        plain = endpoints.enter_context(SpeechEndpoint(recognizer, key=SPEECH_KEY))
        secure = endpoints.enter_context(SpeechEndpoint(recognizer, key=SPEECH_KEY, tls=tls))
        yield {False: Service(plain, canaries), True: Service(secure, canaries)}
