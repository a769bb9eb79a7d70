"""Answers with every status and every Retry-After, plain and over TLS: some are retried, the others are final."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
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
from tests.support.settings import app_settings
from tests.support.sound import murmur
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, RequestRefused, TranscriptionError
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import encoded
from transcription.transcript.model import Usage

BAR = "status codes × Retry-After"
BUDGET = 600.0  # seconds
RETRYABLE = (408, 429, 500, 502, 503, 504)
FINAL: dict[int, type[TranscriptionError]] = {
    401: Misconfigured,
    403: Misconfigured,
    404: Misconfigured,
    **dict.fromkeys((400, 402, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431, 451), RequestRefused),
}
ECHOES = cycle(encode(f"Denied for {SPEECH_KEY}") for encode in ENCODINGS.values())  # bodies that repeat the key
BACKOFF = (0.75, 1.25)  # seconds; the first wait, with its jitter


@dataclass(frozen=True)
class Cell:
    """A value of Retry-After, and the shortest and the longest wait that it may cause.

    `waits` is None if the wait does not fit into the budget.
    """

    retry_after: str | None
    waits: tuple[float, float] | None


def cells(clock: FakeClock) -> list[Cell]:
    def date(seconds: float) -> str:
        return format_datetime(clock.now() + timedelta(seconds=seconds), usegmt=True)

    return [
        Cell(None, BACKOFF),
        Cell("7", (7, 7)),
        Cell("120", (120, 120)),
        Cell(date(90), (90, 90)),
        Cell("86400", None),
        Cell("9" * 40, None),
        Cell(date(86_400), None),
        Cell("0", BACKOFF),
        Cell("-5", BACKOFF),
        Cell("1.5e3", BACKOFF),
        Cell("soon", BACKOFF),
        Cell("", BACKOFF),
        Cell("Thu, 99 Foo 2026 99:99:99 GMT", BACKOFF),
        Cell(date(-3600), BACKOFF),
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
    """An endpoint, and a client with its own clock."""

    endpoint: SpeechEndpoint
    canaries: Canaries
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=self.endpoint.url, AZURE_SPEECH_KEY=SPEECH_KEY))
        self.client = SpeechClient(settings.speech, self.clock)
        self.audio = encoded(murmur(0.2), "wav")

    def problem(self, cell: Cell, status: int) -> str | None:
        """Send one request that meets this status, and return the problem with the reaction, if any."""
        headers = {} if cell.retry_after is None else {"Retry-After": cell.retry_after}
        self.clock.__init__()  # type: ignore[misc]  # start again: the dates in the cells count from there
        self.endpoint.received.clear()
        self.endpoint.faults.append(Fault.status(status, next(ECHOES), headers))
        error = self._recognize()
        self.canaries.search(repr(error), "an exception")
        waited, requests = self.clock.slept, len(self.endpoint.received)
        expected: type[Exception] | None = FINAL.get(status)
        waits: tuple[float, float] | None = None
        if status in RETRYABLE:
            expected, waits = (None, cell.waits) if cell.waits else (Exhausted, None)
        right = type(error) is (expected or type(None)) and requests == (2 if waits else 1)
        right &= len(waited) == 1 and waits[0] <= waited[0] <= waits[1] if waits else not waited
        outcome = f"{error!r}, {requests} requests, waits {waited}"
        return None if right else f"{status} with Retry-After {cell.retry_after!r}: {outcome}"

    def _recognize(self) -> TranscriptionError | None:
        try:
            self.client.recognize(
                self.audio, RecognitionOptions("en-US", "masked"), Usage(), Budget(self.clock, BUDGET, "a.wav")
            )
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
