"""A proxy in front of the blob service that refuses some requests, as storage does for reasons that Azurite lacks."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

HOP = ("connection", "host", "transfer-encoding", "content-length", "keep-alive")
XML = '<?xml version="1.0" encoding="utf-8"?><Error><Code>{}</Code><Message>Storage says no.</Message></Error>'
SECONDS = 30.0

# From a method and a path with its query: the status and code of a refusal; or another path, with a SAS in place of the
# request's own signature; or None.
Rule = Callable[[str, str], tuple[int, str] | str | None]


class StorageProxy:
    """A running proxy. `rule` may be set at any time; None lets everything pass. `ruled` counts what did not pass."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rule: Rule | None = None
        self.ruled = 0


@contextmanager
def storage_proxy(target: str) -> Iterator[StorageProxy]:
    """Run a proxy for the blob service with this URL."""
    address = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers, path = dict(self.headers), self.path
            ruled = proxy.rule(self.command, path) if proxy.rule else None
            proxy.ruled += ruled is not None
            if isinstance(ruled, tuple):
                status, code = ruled
                self._send(status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, XML.format(code))
                return
            if ruled:
                path = ruled
                del headers["Authorization"]
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=SECONDS)
            connection.request(self.command, path, body, headers)
            answer = connection.getresponse()
            self._send(answer.status, dict(answer.getheaders()), answer.read())
            connection.close()

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def _send(self, status: int, headers: dict[str, str], content: bytes | str) -> None:
            body = content.encode() if isinstance(content, str) else content
            is_head = self.command == "HEAD"
            self.send_response(status)
            length = {name.lower(): value for name, value in headers.items()}.get("content-length", "0")
            for name, value in headers.items():
                if name.lower() not in HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length if is_head else str(len(body)))
            self.end_headers()
            if not is_head:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy = StorageProxy(f"http://127.0.0.1:{server.server_port}{address.path}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy
        server.shutdown()
