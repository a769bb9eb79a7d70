"""Reads one final answer from a connection, and hangs up if anything is left behind it.

http.client takes any 1xx but `100 Continue` for the answer, forgets what it has buffered behind an answer, and reads
heads and trailers without end.
"""

import io
import ssl
from http.client import HTTPResponse
from typing import Any

from urllib3.util.ssltransport import SSLTransport

from transcription.speech.exchanges import MAX_ANSWER_BYTES, TooLongAnswer, hang_up

MAX_RAW_BYTES = 2 * MAX_ANSWER_BYTES  # of one answer with heads, chunk sizes and trailers
MAX_INTERIM = 100  # answers before the final one; a service sends one or two


def is_interim(status: int) -> bool:
    """Tell whether more follows (RFC 9110, 15.2). We never ask to switch protocols, so 101 is no exception."""
    return 100 <= status < 200


class FinalResponse(HTTPResponse):
    """An answer that is not interim."""

    def __init__(self, sock: Any, *args: Any, once: bool, head: bytes, **kwargs: Any) -> None:
        # HTTPResponse calls nothing of a socket but `makefile`.
        super().__init__(_Source(sock, once, head), *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        super().begin()
        for _ in range(MAX_INTERIM):
            if not is_interim(self.status):
                return
            self.headers = self.msg = None  # type: ignore[assignment]  # as before the first call
            super().begin()
        raise TooLongAnswer


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
            if self._once or self.peek(1) or holds_decrypted_bytes(self._sock):
                hang_up(self._sock.fileno())
        super().close()


class _Incoming(io.RawIOBase):
    """A raw stream: first the head that was read already, if any, then the socket, until the answer has `ended`."""

    def __init__(self, sock: Any, head: bytes) -> None:
        super().__init__()
        self._head = io.BytesIO(head)
        self._raw = sock.makefile("rb", buffering=0)
        self._left = MAX_RAW_BYTES
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.ended:
            return None
        count = self._head.readinto(buffer) or self._raw.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise TooLongAnswer
        return count

    def close(self) -> None:
        super().close()
        self._raw.close()


def holds_decrypted_bytes(sock: Any) -> bool:
    """Tell whether TLS may hold decrypted bytes. Polling the socket does not show them."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            return sock.pending() > 0
        except (OSError, ValueError):  # it is closed
            return False
    return isinstance(sock, SSLTransport)  # TLS within a proxy's TLS cannot tell, so such a connection is used once
