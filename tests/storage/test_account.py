"""The storage clients retry for seconds, and their errors hold no addresses."""

import ssl
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.core.pipeline.transport import HttpTransport

from tests.support.app import App
from tests.support.settings import app_settings
from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.storage.account import connect, without_addresses
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
