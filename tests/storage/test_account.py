"""The storage clients retry for seconds, and their errors hold no addresses."""

import socket
import socketserver
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar
from urllib.parse import quote

import pytest
import trustme
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest

from tests.support.app import App
from tests.support.clock import FakeClock
from tests.support.refusing_storage import StorageError
from tests.support.secrets import ENCODINGS, shown_run
from tests.support.settings import app_settings
from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.settings.secrets import NOT_SHOWN, Secrets
from transcription.storage.account import (
    QUOTED,
    QUOTED_PATH,
    READ_TRIES,
    WRITE_WAITS,
    connect,
    reason,
    retry_writing,
    without_addresses,
)
from transcription.storage.uploads import UploadProperties, Uploads

NOBODY_THERE = "BlobEndpoint=http://127.0.0.1:9/a;SharedAccessSignature=sv=2026&sig=c2VjcmV0"


def connected(**changes: str) -> Uploads:
    settings = StorageSettings.read(app_settings(**changes))
    return Uploads(connect(settings), settings)


def test_storage_that_refuses_connections_is_retried_for_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own default takes 86 s, and five tries of the host would take seven minutes."""
    waits: list[float] = []
    monkeypatch.setattr(HttpTransport, "sleep", lambda _, seconds: waits.append(seconds))
    uploads = connected(AudioStorage=NOBODY_THERE)
    with pytest.raises(ServiceRequestError):
        uploads.find("a.wav")
    assert len(waits) == 3, "a short fault is still waited out"
    assert sum(waits) <= 30


class Proxy(BaseHTTPRequestHandler):
    """A server that answers as proxies do: with a page that repeats the address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        page = f"<html>Access to {self.path} is denied.</html>".encode()
        self.send_response(403)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def proxy() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a"
        server.shutdown()


def test_an_error_does_not_hold_the_sas_even_if_the_answer_repeats_the_address(proxy: str) -> None:
    connection = f"BlobEndpoint={proxy};SharedAccessSignature=sv=2026&sig=canary%3D"
    uploads = connected(AudioStorage=connection)
    with pytest.raises(StorageFailed, match="403") as failed, without_addresses():
        uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9)
    assert "canary" not in "".join(traceback.format_exception(failed.value))


SIGNATURE = "c0de1/c0de2+c0de3c0de4c0de5="
CHUNKED = b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-8/9\r\nTransfer-Encoding: chunked\r\n\r\n"
XML = '<?xml version="1.0" encoding="utf-8"?><Error><Code>Denied</Code><Message>{} is wrong</Message></Error>'


def head_and_body(status: bytes, body: bytes, content_type: bytes = b"application/xml") -> bytes:
    lengths = b"Content-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (content_type, len(body))
    return b"HTTP/1.1 %b\r\n%b%b" % (status, lengths, body)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Yield the address of a peer that sends these bytes, whatever it is asked."""

    class Peer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/a"
        server.shutdown()


@pytest.mark.parametrize(
    ("place", "encoding"),
    [
        *((place, encoding) for place in ("message", "status line", "not HTTP") for encoding in ENCODINGS),
        *(("broken chunk", encoding) for encoding in ("plain", "UTF-16 LE", "spaced")),  # the SDK retries for 2 s
    ],
)
def test_no_answer_carries_the_sas_to_the_host_whatever_its_encoding(
    place: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)
    echo = ENCODINGS[encoding](SIGNATURE)
    line = echo.replace(b"\r\n", b"\t")
    answers = {
        "message": head_and_body(b"403 Denied", XML.format(escape(echo.decode("utf-8", "replace"))).encode()),
        "status line": head_and_body(b"403 " + line, b""),
        "not HTTP": line + b"\r\n\r\n",
        "broken chunk": CHUNKED + line + b"\r\n",
    }
    with answering(answers[place]) as address:
        connection = f"BlobEndpoint={address};SharedAccessSignature=sv=2026&sig={quote(SIGNATURE, safe='')}"
        uploads = connected(AudioStorage=connection)
        with pytest.raises(StorageFailed) as failed, without_addresses():
            uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9)
    message = "".join(traceback.format_exception(failed.value))
    assert not Secrets([SIGNATURE]).repeated_in(message)
    assert shown_run(SIGNATURE, message) == ""


def test_the_words_of_storage_are_shown_if_they_repeat_no_secret() -> None:
    body = XML.format("The prefix").encode()
    with answering(head_and_body(b"403 Denied", body)) as address:
        uploads = connected(AudioStorage=f"BlobEndpoint={address};AccountName=a;AccountKey=c2VjcmV0")
        with pytest.raises(StorageFailed, match=r"The prefix is wrong \(403"), without_addresses():
            uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9)


@pytest.mark.parametrize("scheme", ["Bearer ", "SharedKey account:"])
def test_the_authorization_of_a_request_is_not_shown(scheme: str) -> None:
    request = HttpRequest("GET", "https://acc.blob.core.windows.net/", headers={"Authorization": scheme + SIGNATURE})
    error = HttpResponseError(f"{SIGNATURE} is wrong")
    error.response = SimpleNamespace(request=request)
    assert reason(error).startswith(NOT_SHOWN)


def failed(message: str, url: str = "https://acc.blob.core.windows.net/", code: str | None = None) -> StorageError:
    error = StorageError(message)
    error.error_code = code
    error.response = SimpleNamespace(request=HttpRequest("GET", url))
    error.status_code = 403
    return error


@pytest.mark.parametrize("name", ["sig", "Sig", "SIG"])
def test_a_signature_is_not_shown_however_its_name_is_spelled(name: str) -> None:
    url = f"https://acc.blob.core.windows.net/?{name}={quote(SIGNATURE, safe='')}"
    assert reason(failed(f"{SIGNATURE} is wrong", url)).startswith(NOT_SHOWN)


def test_a_long_line_is_cut_off_before_it_is_searched() -> None:
    started = time.process_time()
    assert reason(failed("%25x" * 1_500_000)) == ("%25x" * QUOTED)[:QUOTED] + " (403)"
    assert time.process_time() - started < 0.5


def test_a_signature_at_the_end_of_what_is_shown_is_not_shown() -> None:
    url = f"https://acc.blob.core.windows.net/?sig={quote(SIGNATURE, safe='')}"
    assert reason(failed("-" * (QUOTED - 10) + SIGNATURE, url)).startswith(NOT_SHOWN)


def test_the_advice_about_a_refusal_names_a_blob_by_its_path_without_the_sas() -> None:
    url = f"https://acc.blob.core.windows.net/audio/a%20b.wav{'c' * QUOTED_PATH}?sig={quote(SIGNATURE, safe='')}"
    path = f"/audio/a b.wav{'c' * QUOTED_PATH}"[:QUOTED_PATH]
    assert reason(failed("No lease", url, "LeaseIdMissing")).startswith(
        f"No lease (403 LeaseIdMissing) at '{path}'. Someone holds a lease"
    )


def test_the_path_of_a_refused_request_is_not_shown_if_it_repeats_the_signature() -> None:
    signature = quote(SIGNATURE, safe="")
    url = f"https://acc.blob.core.windows.net/audio/{signature}?sig={signature}"
    assert f" at {NOT_SHOWN!r}." in reason(failed("No lease", url, "LeaseIdMissing"))


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        (None, WRITE_WAITS),
        ("ServerBusy", WRITE_WAITS),
        ("ContainerBeingDeleted", WRITE_WAITS),
        ("LeaseIdMissing", ()),
        ("BlobImmutableDueToPolicy", ()),
        ("AuthorizationPermissionMismatch", ()),
    ],
)
def test_a_write_is_repeated_unless_the_refusal_lasts_until_a_person_acts(
    clock: FakeClock, code: str | None, waits: tuple[float, ...]
) -> None:
    tries: list[StorageError] = []

    def write() -> None:
        tries.append(failed("no", code=code))
        raise tries[-1]

    with pytest.raises(StorageError) as raised:
        retry_writing(write, clock, "a.wav")
    assert clock.slept == list(waits)
    assert len(tries) == len(waits) + 1
    assert raised.value is tries[-1]


def test_an_error_without_a_code_names_none() -> None:
    assert reason(failed("Denied")) == "Denied (403)"


@pytest.mark.parametrize(("inner", "shown"), [(None, "ServiceRequestError"), (ValueError(SIGNATURE), "ValueError")])
def test_only_the_type_of_an_error_without_a_request_is_shown(inner: Exception | None, shown: str) -> None:
    assert reason(ServiceRequestError(f"{SIGNATURE} is wrong", error=inner)) == shown


@pytest.mark.parametrize("excepted", [False, True])
def test_storage_is_reached_through_the_environments_proxy(
    proxy: str, monkeypatch: pytest.MonkeyPatch, excepted: bool
) -> None:
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)
    monkeypatch.setenv("HTTP_PROXY", proxy.removesuffix("/a"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1" if excepted else "")
    uploads = connected(AudioStorage=NOBODY_THERE)
    with pytest.raises(ServiceRequestError if excepted else HttpResponseError):
        uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9)


def test_a_private_authority_that_the_environment_names_is_trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = f"BlobEndpoint=https://localhost:{server.server_port}/a;SharedAccessSignature=sv=2026&sig=c2VjcmV0"
        uploads = connected(AudioStorage=connection)
        with pytest.raises(HttpResponseError) as answered:
            uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9)
        server.shutdown()
    assert answered.value.status_code == 403


def test_a_storage_error_shows_its_code(app: App) -> None:
    the_job = app.job(AudioStorage=app.environ["AudioStorage"].replace("AccountKey=", "AccountKey=AAAA"))
    message = f'{{"ContainerName": "{app.audio.container_name}", "BlobName": "a.wav"}}'
    with pytest.raises(StorageFailed, match="403 AuthorizationFailure"):
        the_job.run(app.audio.container_name, "a.wav")
    with pytest.raises(StorageFailed, match="403 AuthorizationFailure"):
        the_job.abandon(message.encode())


T = TypeVar("T")
SIZE = 1000
HEAD = (
    f"HTTP/1.1 206 Partial Content\r\nContent-Length: {SIZE}\r\nContent-Range: bytes 0-{SIZE - 1}/{SIZE}\r\n"
    'ETag: "1"\r\n'
    "x-ms-blob-type: BlockBlob\r\nLast-Modified: Wed, 25 Nov 2026 01:00:00 GMT\r\n\r\n"
).encode()


class TlsStorage:
    """A storage account over TLS whose first answers break off within a record, on its own thread."""

    def __init__(self, context: ssl.SSLContext, broken: int) -> None:
        self.answers = 0
        self._context, self._broken = context, broken
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}/a"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(received, sent, server_side=True)

        def pumped(step: Callable[[], T]) -> T:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    connection.sendall(sent.read())
                    received.write(connection.recv(65_536))

        pumped(tls.do_handshake)
        pumped(lambda: tls.read(65_536))
        self.answers += 1
        tls.write(HEAD + bytes(SIZE // 2))
        connection.sendall(sent.read())
        tls.write(bytes(SIZE // 2))
        record = bytearray(sent.read())
        record[-1] ^= 0xFF if self.answers <= self._broken else 0
        connection.sendall(record)


@pytest.fixture
def tls_storage(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], TlsStorage]]:
    """Return a function that starts a TlsStorage with a number of broken answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    started: list[TlsStorage] = []

    def start(broken: int) -> TlsStorage:
        started.append(TlsStorage(context, broken))
        return started[-1]

    yield start
    for storage in started:
        storage.close()


def read_from(storage: TlsStorage) -> bytes:
    uploads = connected(AudioStorage=f"BlobEndpoint={storage.url};SharedAccessSignature=sv=2026&sig=c2VjcmV0")
    return uploads.read(UploadProperties("a.wav", "1", SIZE, {}), 0, SIZE)


def test_an_answer_whose_tls_record_is_broken_is_asked_for_again(tls_storage: Callable[[int], TlsStorage]) -> None:
    storage = tls_storage(READ_TRIES - 1)
    assert read_from(storage) == bytes(SIZE)
    assert storage.answers == READ_TRIES


def test_answers_whose_tls_records_stay_broken_end_in_an_error_of_the_sdk(
    tls_storage: Callable[[int], TlsStorage],
) -> None:
    storage = tls_storage(99)
    with pytest.raises(ServiceResponseError):
        read_from(storage)
    assert storage.answers == READ_TRIES
