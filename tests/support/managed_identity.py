"""The endpoint of App Service that issues tokens to an app's managed identity, on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

HEADER_SECRET = "header-secret"


class IdentityEndpoint(ThreadingHTTPServer):
    """Issues `token`, or refuses if `status` is not 200. `asked` has the query of each request."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.status = 200
        self.asked: list[dict[str, str]] = []

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables that App Service sets for an app with an identity."""
        address = f"http://127.0.0.1:{self.server_port}/msi/token"
        return {"IDENTITY_ENDPOINT": address, "IDENTITY_HEADER": HEADER_SECRET}


class _Handler(BaseHTTPRequestHandler):
    server: IdentityEndpoint

    def do_GET(self) -> None:  # the name that http.server calls
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.asked.append(query)
        known = self.headers.get("X-IDENTITY-HEADER") == HEADER_SECRET
        status = self.server.status if known else 401
        answer = {"access_token": self.server.token, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        body = json.dumps(answer if status == 200 else {"statusCode": status, "message": "no"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@contextmanager
def identity_endpoint(token: str) -> Iterator[IdentityEndpoint]:
    with IdentityEndpoint(token) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
