"""Storage that refuses requests: answers that Azurite never gives, and connections with few permissions."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from local.azurite import ACCOUNT_KEY
from tests.support.app import App

CREATION = "PUT container"
XML = '<?xml version="1.0" encoding="utf-8"?><Error><Code>{}</Code><Message>Storage says no.</Message></Error>'


class StorageError(HttpResponseError):
    """An error as the storage SDK raises it, with storage's own code."""

    error_code: str | None = None


@contextmanager
def refusing_storage(refusals: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """Yield the address of a blob service that answers each method with a status and a code.

    Creations of containers have a method of their own here, CREATION.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            creates = self.command == "PUT" and "restype=container" in self.path
            status, code = refusals[CREATION if creates else self.command]
            body = b"" if self.command == "HEAD" else XML.format(code).encode()
            self.send_response(status)
            self.send_header("x-ms-error-code", code)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a"
        server.shutdown()


def shared_key(url: str) -> str:
    """Return a connection string for that blob service."""
    return f"BlobEndpoint={url};AccountName=a;AccountKey=c2VjcmV0"


def limited(app: App, container: ContainerClient, permission: ContainerSasPermissions) -> str:
    """Return a connection string that allows only this in this container."""
    account = str(app.service.account_name)
    expiry = datetime.now(UTC) + timedelta(hours=1)
    signature = generate_container_sas(
        account, container.container_name, account_key=ACCOUNT_KEY, permission=permission, expiry=expiry
    )
    return f"BlobEndpoint={app.service.url.rstrip('/')};SharedAccessSignature={signature}"
