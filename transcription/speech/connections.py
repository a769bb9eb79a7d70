"""HTTP connections that are safe to use again, and that no peer can hold for ever.

Four things go beyond what urllib3 and http.client do. Each overrides a public method or attribute.

- **Early answers.** The service may answer 401 or 429 and close while the audio is still being sent. urllib3 reads that
  answer if the send failed with BrokenPipeError. Over TLS, Python 3.11 and 3.12 raise SSLEOFError instead: the answer
  is lost, and a refused key looks like a network fault (urllib3 #2733 and #3382, cpython #115627).
- **Interim answers.** http.client skips `100 Continue` only. It takes any other 1xx for the answer, and the real one
  stays in the connection as the answer to the next request.
- **Stale answers.** HTTP/1.1 answers have no ids. A second answer to one request, or anything else that a peer sends
  unasked, would be taken for the answer to the next. So a connection is shut down if anything is left behind an answer,
  and is used again only if the peer acknowledges the next request with `100 Continue` before anything else. The service
  documents that it does. A peer that does not gets a new connection for each request.
- **Slow peers.** A read timeout starts again with every byte, so a peer that drips could hold a request for ever.
"""

import io
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from functools import partial
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import HTTPResponse as Answer
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait_for_read

from transcription.speech.exchanges import EXCHANGES, NotAcknowledged, hang_up

ACKNOWLEDGED_WITHIN = 1.0  # seconds; a round trip takes a tenth
LONGEST_HEAD = 8192  # bytes
_WHOLE_HEAD = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r].*\r\n\r\n", re.DOTALL)


def is_about_service(status: int) -> bool:
    """Tell whether a status means the service or the key, and not the audio that was sent."""
    return status in (401, 403, 408, 429) or status >= 500


class _FinalResponse(HTTPResponse):
    """An answer that is not interim."""

    def __init__(self, sock: Any, *args: Any, once: bool, head: bytes, **kwargs: Any) -> None:
        super().__init__(_Source(sock, once, head), *args, **kwargs)  # type: ignore[arg-type]  # of a socket, it uses makefile only

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200:  # RFC 9110 15.2; we never ask to switch protocols, so 101 is no exception
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first call
            super().begin()


class _Source:
    """The part of a socket that a response reads from."""

    def __init__(self, sock: Any, once: bool, head: bytes) -> None:
        self._reader = sock, once, head

    def makefile(self, _mode: str) -> "_AnswerReader":
        return _AnswerReader(*self._reader)


class _AnswerReader(io.BufferedReader):
    """Reads one answer. Hangs up if anything is left behind it, or if the connection is for `once`."""

    def __init__(self, sock: Any, once: bool, head: bytes) -> None:
        self._sock = sock
        self._once = once
        self._incoming = _Incoming(sock, head)
        super().__init__(self._incoming)

    def close(self) -> None:
        if not self.closed:
            self._incoming.ended = True
            if self._once or self.peek(1) or _holds_decrypted_bytes(self._sock):
                hang_up(self._sock.fileno())
        super().close()


class _Incoming(io.RawIOBase):
    """The head, if it has been read already, and the bytes of a socket until the answer has `ended`."""

    def __init__(self, sock: Any, head: bytes) -> None:
        super().__init__()
        self._head = io.BytesIO(head)
        self._raw = sock.makefile("rb", buffering=0)
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        return self._head.readinto(buffer) or self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


def _holds_decrypted_bytes(sock: Any) -> bool:
    """Tell whether TLS may hold bytes that no look at the socket shows."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            return sock.pending() > 0
        except (OSError, ValueError):  # it is closed
            return False
    return hasattr(sock, "socket")  # TLS within a proxy's TLS cannot tell, so such a connection is used once


class _Connection(HTTPConnection):
    """A connection under its exchange's deadline, which no stale answer passes."""

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
        elif type(sock) is socket.socket:
            EXCHANGES.follow(sock)

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, *, chunked: bool = False, **kwargs: Any
    ) -> None:
        """Send a request. One that is not sent in chunks has no acknowledgement to wait for: it needs a new connection.

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
        """Yield the body once the peer asks for it. Before the last chunk, look whether it has answered already."""
        self._await_acknowledgement()
        chunks = iter(body)
        chunk = next(chunks, b"")
        for following in chunks:
            yield chunk
            chunk = following
        if wait_for_read(self.sock, timeout=0.0):
            EXCHANGES.mark_early()
        yield chunk

    def _await_acknowledgement(self) -> None:
        """Read the next head, byte by byte so that nothing behind it is lost.

        Raises BrokenPipeError if it is a refusal: urllib3 then reads that without sending the body.
        Raises NotAcknowledged if it is neither a refusal nor `100 Continue`.
        """
        head = b""
        self.sock.settimeout(ACKNOWLEDGED_WITHIN)
        try:
            while not head.endswith(b"\r\n\r\n") and len(head) < LONGEST_HEAD and (byte := self.sock.recv(1)):
                head += byte
        except TimeoutError:
            raise NotAcknowledged(silent=not head) from None
        except OSError:
            pass
        match = _WHOLE_HEAD.fullmatch(head)
        status = int(match[1]) if match else 0
        self.sock.settimeout(self.timeout)
        if is_about_service(status):
            EXCHANGES.mark_early()
            self._expect(once=True, head=head)
            raise BrokenPipeError("the peer answered instead of asking for the body")
        if status != HTTPStatus.CONTINUE:
            raise NotAcknowledged

    def getresponse(self) -> Answer:  # type: ignore[override]  # as urllib3 declares it
        response = super().getresponse()
        self._answers += 1
        return response

    def _expect(self, *, once: bool, head: bytes = b"") -> None:
        """Say how to read the next answer. Its `head` may have been read; after one that is read `once`, hang up."""
        self.response_class = partial(_FinalResponse, once=once, head=head)  # type: ignore[assignment]  # only called


class _TlsConnection(_Connection, HTTPSConnection):
    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as closed:
            raise BrokenPipeError("The peer closed the connection while the body was being sent") from closed


class Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
