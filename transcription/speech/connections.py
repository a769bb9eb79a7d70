"""HTTP connections that are safe to use again, and that no peer can hold for ever.

Four things go beyond what urllib3 and http.client do. No private name is used. Two places, `sock` and `begin`, rely on
the order in which http.client uses them.

- **Early answers.** The service may answer 401 or 429 and close while the audio is still being sent. urllib3 reads that
  answer if the send failed with BrokenPipeError. Over TLS, Python 3.11 and 3.12 raise SSLEOFError instead: the answer
  is lost, and a refused key looks like a network fault (urllib3 #2733 and #3382, cpython #115627).
- **Interim answers.** http.client skips `100 Continue` only. It takes any other 1xx for the answer, and the real one
  stays in the connection as the answer to the next request.
- **Stale answers.** HTTP/1.1 answers have no ids. A second answer to one request, or anything else that a peer sends
  unasked, would pass for the answer to the next. So a connection is shut down if anything follows an answer, and
  is used again only if the peer acknowledges the next request with `100 Continue` before anything else. The service
  documents that it does. A peer that does not gets a new connection for each request.
- **Slow peers.** A read timeout starts again with every byte, so a peer that drips could hold a request for ever.
"""

import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import HTTPResponse as Answer
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_read

from transcription.speech.exchanges import EXCHANGES, NotAcknowledged
from transcription.speech.responses import MAX_INTERIM, FinalResponse, holds_decrypted_bytes, is_interim

ACKNOWLEDGED_WITHIN = 1.0  # seconds; ten round trips
EARLY_HEAD_WITHIN = 0.1  # seconds; its first bytes are there already, unless they were TLS's own
MAX_HEAD_BYTES = 8192
_USUAL_HEAD = b"HTTP/1.1 100 Continue\r\n\r\n"
_WHOLE_HEAD = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r](?:(?!\r\n\r\n).)*\r\n\r\n", re.DOTALL)


def is_about_service(status: int) -> bool:
    """Tell whether a status is about the service or the key, and not about the audio that was sent."""
    return status in (401, 403, 408, 429) or status >= 500


def _status(head: bytes) -> int:
    """Return the status of a whole head, or 0."""
    match = _WHOLE_HEAD.fullmatch(head)
    return int(match[1]) if match else 0


class _Connection(HTTPConnection):
    """A connection that keeps its exchange's deadline and lets no stale answer through."""

    _answers = 0  # since it was connected

    @property
    def sock(self) -> Any:
        return self.__dict__.get("sock")

    @sock.setter
    def sock(self, sock: Any) -> None:
        """Follow the bare socket, so that the deadline ends a TLS handshake as well."""
        self.__dict__["sock"] = sock
        if sock is None:
            self._answers = 0
            self.response_class = HTTPResponse  # a proxy's answer to CONNECT comes first
        elif type(sock) is socket.socket:
            EXCHANGES.follow(sock)

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, *, chunked: bool = False, **kwargs: Any
    ) -> None:
        """Send a request. Without chunks there is no acknowledgement to wait for, so it needs a new connection.

        Raises NotAcknowledged if the connection is not fit to be used again. Nothing of the body is sent then.
        """
        if self.sock is not None:
            EXCHANGES.follow(self.sock)
        if self._answers:
            if not chunked:
                raise NotAcknowledged
            body = self._acknowledged(body)
        self._expect(once=bool(headers) and headers.get("Connection") == "close")
        super().request(method, url, body, headers, chunked=chunked, **kwargs)

    def _acknowledged(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the body once the peer asks for it. Before the last chunk, look whether it has answered already.

        Raises NotAcknowledged, before it takes anything from the body, if the peer does not ask for it.
        Raises BrokenPipeError if there is an answer already: urllib3 then reads that and sends no more.
        """
        self._await_acknowledgement()
        EXCHANGES.mark_acknowledged()
        chunks = iter(body)
        chunk = next(chunks, b"")
        for following in chunks:
            yield chunk
            chunk = following
        for _ in range(MAX_INTERIM):
            if not (holds_decrypted_bytes(self.sock) or wait_for_read(self.sock, timeout=0.0)):
                break
            head = self._read_head(EARLY_HEAD_WITHIN)
            if head and not is_interim(_status(head)):
                raise self._answered(head)
        yield chunk

    def _await_acknowledgement(self) -> None:
        """Read the peer's `100 Continue`, and other interim answers before it.

        Raises BrokenPipeError if the peer refuses the request: urllib3 then reads the refusal.
        Raises NotAcknowledged if anything else comes, or nothing.
        """
        head = b""
        for _ in range(MAX_INTERIM):
            head = self._read_head(ACKNOWLEDGED_WITHIN)
            status = _status(head)
            if status == HTTPStatus.CONTINUE:
                return
            if is_about_service(status):
                raise self._answered(head)
            if not is_interim(status):
                break
        raise NotAcknowledged(silent=not head)

    def _read_head(self, seconds: float) -> bytes:
        """Return the next head and read nothing after it. Return what has arrived if it is not whole in time."""
        head = b""
        self.sock.settimeout(seconds)
        with suppress(OSError):
            while not head.endswith(b"\r\n\r\n") and len(head) < MAX_HEAD_BYTES:
                piece = self.sock.recv(1 if head else len(_USUAL_HEAD))
                if not piece:
                    break
                head += piece
        self.sock.settimeout(self.timeout)
        return head

    def _answered(self, head: bytes) -> BrokenPipeError:
        """Note the answer that came before its request was sent. It may belong to an earlier one."""
        EXCHANGES.mark_early()
        self._expect(once=True, head=head)
        return BrokenPipeError("the peer answered before the request was sent")

    def getresponse(self) -> Answer:  # type: ignore[override]  # as urllib3 declares it
        response = super().getresponse()
        self._answers += 1
        return response

    def _expect(self, *, once: bool, head: bytes = b"") -> None:
        """Set how the next answer is read. `head` is its head, if that was read already. After `once`, hang up."""
        self.response_class = partial(FinalResponse, once=once, head=head)  # type: ignore[assignment]  # only called


class _TlsConnection(_Connection, HTTPSConnection):
    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as closed:
            raise BrokenPipeError("the peer closed the connection") from closed


class Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
