"""Everything that a network does to an exchange, at every moment of it: no word is lost and none is made up."""

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

from tests.soak.harness import Content, FastClock, Harness, SoakApp, contents
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
PATIENCE = 4.0  # seconds for which the clients wait here, so that a stall need not last minutes
STALL, DELAY, REFUSAL = 6.0, 0.5, 0.1  # seconds
METHODS = ("GET", "PUT", "HEAD")


@dataclass(frozen=True)
class Case:
    side: str
    kind: str
    when: str
    number: int

    def fault(self, clips: int) -> SocketFault:
        """Of a recording of so many clips."""
        late = STALL if self.number % 2 else DELAY  # for nobody any more, or in time
        seconds = {"stall": STALL, "refuse": REFUSAL, "late": late}.get(self.kind, DELAY)
        kind = "answered" if self.kind.isdigit() else self.kind
        if self.side != "storage":
            return SocketFault(kind, self.when, "POST", self.number % clips, seconds, self.answer(), echo=True)
        methods = METHODS[:2] if kind == "wrong length" else METHODS  # of a HEAD, there is no body to have one
        method = methods[self.number % len(methods)]
        skip = 0 if method == "GET" else self.number // len(methods) % 2  # one read, and two or more of the others
        return SocketFault(kind, self.when, method, skip, seconds, self.answer(), echo=True)

    def answer(self) -> bytes:
        """Sent ahead of the server's own."""
        if self.kind.isdigit():
            wait = b"Retry-After: 1\r\n" if self.number % 2 else b""
            wait += b"Connection: close\r\n" if self.number // 2 % 2 else b""
            return b"HTTP/1.1 %b No\r\n%b" % (self.kind.encode(), wait)
        body = b'{"RecognitionStatus":"Success","Offset":0,"Duration":90000000,"DisplayText":"None of its words."}'
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def cases(harness: Harness) -> list[Case]:
    """The rarest of them first, so that the slow ones are not all at the end."""
    return [
        Case(side, kind, when, number)
        for number in range(harness.number(20, 1))
        for side in SIDES
        for kind, moments in KINDS.items()
        for when in moments
        if kind != "tls cut" or side == "speech over TLS"
    ]


def run(harness: Harness) -> Result:
    found, recognizer = contents(4, 7.0)
    every = cases(harness)
    with authority() as tls, impatient(), harness.app(recognizer, FastClock(20)) as app:
        storages = [harness.shared_access(), harness.connection]
        clips = [undisturbed(app, content) for content in found]
        tally = Tally(BAR, len(every))
        tried = Counts()

        def one(case: Case) -> str | None:
            at = case.number % len(found)
            return meet(app, case, found[at], clips[at], tls, storages[case.number % 2], tried)

        tally.each(one, every, AT_ONCE)
        if tried.met < len(every):
            tally.ran(f"{len(every) - tried.met} faults took place nowhere")
    kinds = len({(case.side, case.kind, case.when) for case in every})
    return tally.result(
        f"{kinds} kinds on Speech (plain, TLS) and storage × {len(every) // kinds}, {tried.met} met;"
        f" {tried.calls} Speech calls for {tried.clips} clips; {tried.again} delivered again"
    )


class Counts:
    """What all cases came to, from any thread."""

    def __init__(self) -> None:
        self.met = self.calls = self.clips = self.again = 0
        self._lock = threading.Lock()

    def add(self, met: int, calls: int, clips: int, again: int) -> None:
        with self._lock:
            self.met += met
            self.calls += calls
            self.clips += clips
            self.again += again


def undisturbed(app: SoakApp, content: Content) -> int:
    """How many requests this recording takes where all is well."""
    name = f"undisturbed {hash(content)}"
    app.upload(name, content.wav)
    app.run(name)
    assert app.right(name, content) is None
    return int(app.read(name)["recognition"]["requests"])


def meet(
    app: SoakApp, case: Case, content: Content, clips: int, tls: ssl.SSLContext, connection: str, tried: Counts
) -> str | None:
    """One recording with one fault on its way; what is wrong in the end."""
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
            # A token of the wrong length is refused, once by every clip, and that is no single fault.
            "AZURE_SPEECH_AUTH": "token" if case.number % 4 == 1 and case.kind != "wrong length" else "key",
            "TRANSCRIPT_FORMATS": "json,vtt",
        }
        job = app.job(**changes)
        faulty.set(case.fault(clips))
        tries = app.deliver(lambda: job, name)
        faulty.clear()
        calls = sum(b"/recognition/" in head for head in to_speech.heads)
        problem = app.right(name, content)
        if problem and case.kind == "401" and "Configuration" in problem:  # as it should be: for somebody to mend
            tries += app.deliver(lambda: job, name)
            problem = app.right(name, content)
        tried.add(faulty.met, calls, clips, tries - 1)
    if problem:
        return f"{case}: {problem}, {tries} tries; {_seen(app, name, content)}"
    return f"{case}: {calls} Speech calls for {clips} clips" if calls > 2 * clips else None


def _seen(app: SoakApp, name: str, content: Content) -> str:
    """Where it went wrong: whether storage holds what was uploaded, and how much of what the endpoint got is of it."""
    stored = app.audio.download_blob(name).readall() == content.wav
    ids = app.read(name).get("recognition", {}).get("connectionIds", [])
    heard = [request for request in list(app.endpoint.received) if request.query.get("X-ConnectionId") in ids]
    parts = [(len(request.audio), content.wav.find(request.audio[44:]), request.status) for request in heard]
    return f"stored as uploaded: {stored}; received (bytes, place, status): {parts}"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url.partition(";")[0])
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def through(connection: str, proxy: FaultProxy) -> str:
    """The same storage account by way of the proxy."""
    _, port = address(connection.partition("BlobEndpoint=")[2])
    return connection.replace(f":{port}/", f":{proxy.port}/")


@contextmanager
def authority() -> Iterator[ssl.SSLContext]:
    """For `localhost`, trusted as an app behind a private authority trusts it: by REQUESTS_CA_BUNDLE."""
    context, issuer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()
    issuer.issue_cert("localhost").configure_cert(context)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "ca.pem"
        issuer.cert_pem.write_to_path(str(bundle))
        with mock.patch.dict(os.environ, REQUESTS_CA_BUNDLE=str(bundle)):
            yield context


@contextmanager
def impatient() -> Iterator[None]:
    """The app's own limits, in seconds instead of minutes."""
    quick: dict[str, Any] = {
        "initial_backoff": 0,
        "increment_base": 0.1,
        "random_jitter_range": 0,
        "connection_timeout": PATIENCE,
        "read_timeout": PATIENCE,
    }
    with (
        mock.patch.multiple(client, CONNECT_SECONDS=PATIENCE, SILENT_SECONDS=PATIENCE, LONGEST_EXCHANGE=5 * PATIENCE),
        mock.patch.dict(account.CLIENT_OPTIONS, quick),
    ):
        yield
