"""Breaks connections in every way and at every moment of an exchange: no word is lost, and none is invented."""

import os
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import trustme

from tests.soak.harness import LONG, SHORT, Content, FastClock, Harness, SoakApp, make_contents
from tests.soak.report import Result, Tally
from tests.support.broken_exchange import AFTER, BEFORE, DURING, SocketFault
from tests.support.fault_proxy import FaultProxy
from transcription.speech import client
from transcription.storage import account

BAR = "socket faults"
AT_ONCE = 24
SIDES = ("speech", "speech over TLS", "storage")
ALWAYS = (BEFORE, DURING, AFTER)
KINDS: Mapping[str, tuple[str, ...]] = {
    "refuse": (BEFORE,),
    "reset": ALWAYS,
    "half close": ALWAYS,
    "stall": ALWAYS,
    "drip": ALWAYS,
    "garbage": ALWAYS,
    "wrong length": ALWAYS,
    "truncated": ALWAYS,
    "empty": ALWAYS,
    "tls cut": ALWAYS,
    "401": ALWAYS,
    "429": ALWAYS,
    "late": ALWAYS,
}
TIMEOUT = 4.0  # seconds, for all clients here, so that a stall need not last minutes
STALL = 6.0  # seconds; longer than the clients wait
DELAY = 0.5  # seconds; shorter than the clients wait
REFUSAL = 0.1  # seconds
METHODS = ("GET", "PUT", "HEAD")


@dataclass(frozen=True)
class Case:
    """One fault on one side. `number` selects the recording, the request and other details."""

    side: str
    kind: str
    when: str
    number: int

    def fault(self, clips: int) -> SocketFault:
        """Return the fault for a recording of `clips` clips."""
        late = STALL if self.number % 2 else DELAY  # after the client has given up, or in time
        seconds = {"stall": STALL, "refuse": REFUSAL, "late": late}.get(self.kind, DELAY)
        kind = "answered" if self.kind.isdigit() else self.kind
        if self.side != "storage":
            return SocketFault(kind, self.when, "POST", self.number % clips, seconds, self.answer(), echo=True)
        methods = METHODS[:2] if kind == "wrong length" else METHODS  # the answer to HEAD has no body
        method = methods[self.number % len(methods)]
        # A run makes one GET, but two or more PUTs and HEADs.
        skip = 0 if method == "GET" else self.number // len(methods) % 2
        return SocketFault(kind, self.when, method, skip, seconds, self.answer(), echo=True)

    def answer(self) -> bytes:
        """Return an answer that is sent before the server's own: an error, or a transcript of something else."""
        if self.kind.isdigit():
            wait = b"Retry-After: 1\r\n" if self.number % 2 else b""
            wait += b"Connection: close\r\n" if self.number // 2 % 2 else b""
            return b"HTTP/1.1 %b No\r\n%b" % (self.kind.encode(), wait)
        body = b'{"RecognitionStatus":"Success","Offset":0,"Duration":90000000,"DisplayText":"None of its words."}'
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def cases(harness: Harness) -> list[Case]:
    """Return one case of each kind, then the next of each, so that slow and fast ones alternate."""
    return [
        Case(side, kind, when, number)
        for number in range(harness.number(20, 1))
        for side in SIDES
        for kind, moments in KINDS.items()
        for when in moments
        if kind != "tls cut" or side == "speech over TLS"
    ]


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(4, SHORT, LONG)
    all_cases = cases(harness)
    with authority() as tls, short_timeouts(), harness.app(recognizer, FastClock(20)) as app:
        storages = [harness.shared_access(), harness.connection]
        clips = [clips_of(app, content) for content in contents]
        tally = Tally(BAR, len(all_cases))
        totals = Totals()

        def run_case(case: Case) -> str | None:
            index = case.number % len(contents)
            return problem_with(case, app, contents[index], clips[index], tls, storages[case.number % 2], totals)

        tally.run_each(run_case, all_cases, AT_ONCE)
        if totals.met < len(all_cases):
            tally.count(f"{len(all_cases) - totals.met} faults never took place")
    kinds = len({(case.side, case.kind, case.when) for case in all_cases})
    return tally.result(
        f"{kinds} kinds on Speech (plain, TLS) and storage × {len(all_cases) // kinds}, {totals.met} took place;"
        f" {totals.calls} Speech calls for {totals.clips} clips; {totals.again} delivered again"
    )


class Totals:
    """Sums over all cases, from any thread."""

    def __init__(self) -> None:
        self.met = self.calls = self.clips = self.again = 0
        self._lock = threading.Lock()

    def add(self, met: int, calls: int, clips: int, again: int) -> None:
        with self._lock:
            self.met += met
            self.calls += calls
            self.clips += clips
            self.again += again


def clips_of(app: SoakApp, content: Content) -> int:
    """Return the number of requests that this recording takes without faults."""
    name = f"without faults {hash(content)}"
    app.upload(name, content.wav)
    app.run(name)
    assert app.problem(name, content) is None
    return int(app.read(name)["recognition"]["requests"])


def problem_with(
    case: Case, app: SoakApp, content: Content, clips: int, tls: ssl.SSLContext, connection: str, totals: Totals
) -> str | None:
    """Transcribe one recording with one fault on the way, and return the problem in the end, if any."""
    name = f"{case.side} {case.kind} {case.when} {case.number}.wav"
    app.upload(name, content.wav)
    with ExitStack() as proxies:
        if case.side == "storage":
            to_speech = proxies.enter_context(FaultProxy(address(app.endpoint.url)))
            faulty = proxies.enter_context(FaultProxy(address(connection.partition("BlobEndpoint=")[2])))
            connection = through(connection, faulty)
        else:
            secure = tls if "TLS" in case.side else None
            faulty = to_speech = proxies.enter_context(FaultProxy(address(app.endpoint.url), secure))
        changes = {
            "AudioStorage": connection,
            "AZURE_SPEECH_ENDPOINT": f"{'https://localhost' if 'TLS' in case.side else 'http://127.0.0.1'}"
            f":{to_speech.port}",
            # Every clip would be refused once for a token of the wrong length, and that is more than one fault.
            "AZURE_SPEECH_AUTH": "token" if case.number % 4 == 1 and case.kind != "wrong length" else "key",
            "TRANSCRIPT_FORMATS": "json,vtt",
        }
        job = app.job(**changes)
        faulty.set(case.fault(clips))
        tries = app.deliver(lambda: job, name)
        faulty.clear()
        calls = sum(b"/recognition/" in head for head in to_speech.heads)
        problem = app.problem(name, content)
        if problem and case.kind == "401" and "Configuration" in problem:  # correct: somebody has to fix it
            tries += app.deliver(lambda: job, name)
            problem = app.problem(name, content)
        totals.add(faulty.met, calls, clips, tries - 1)
    if problem:
        return f"{case}: {problem}, {tries} tries; {_details(app, name, content)}"
    return f"{case}: {calls} Speech calls for {clips} clips" if calls > 2 * clips else None


def _details(app: SoakApp, name: str, content: Content) -> str:
    """Return details of a failure: whether storage holds the recording, and which parts of it the endpoint received."""
    stored = app.audio.download_blob(name).readall() == content.wav
    ids = app.read(name).get("recognition", {}).get("connectionIds", [])
    requests = [request for request in list(app.endpoint.received) if request.query.get("X-ConnectionId") in ids]
    parts = [(len(request.audio), content.wav.find(request.audio[44:]), request.status) for request in requests]
    return f"stored as uploaded: {stored}; received (bytes, position, status): {parts}"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url.partition(";")[0])
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def through(connection: str, proxy: FaultProxy) -> str:
    """Return a connection string for the same storage, through the proxy."""
    _, port = address(connection.partition("BlobEndpoint=")[2])
    return connection.replace(f":{port}/", f":{proxy.port}/")


@contextmanager
def authority() -> Iterator[ssl.SSLContext]:
    """Yield TLS for `localhost` from a private authority, which the app trusts through REQUESTS_CA_BUNDLE."""
    context, issuer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
    issuer.issue_cert("localhost").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "ca.pem"
        issuer.cert_pem.write_to_path(str(bundle))
        with mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(bundle)):
            yield context


@contextmanager
def short_timeouts() -> Iterator[None]:
    """Shorten the app's own timeouts from minutes to seconds."""
    options: dict[str, Any] = {
        "initial_backoff": 0,
        "increment_base": 0.1,
        "random_jitter_range": 0,
        "connection_timeout": TIMEOUT,
        "read_timeout": TIMEOUT,
    }
    with (
        mock.patch.multiple(client, CONNECT_SECONDS=TIMEOUT, SILENT_SECONDS=TIMEOUT, MAX_EXCHANGE_SECONDS=5 * TIMEOUT),
        mock.patch.dict(account.CLIENT_OPTIONS, options),
    ):
        yield
