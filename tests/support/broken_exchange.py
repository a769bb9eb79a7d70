"""One request and its answer over raw sockets, broken on purpose. `fault_proxy` uses it for each exchange."""

import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.secrets import ENCODINGS

BEFORE, DURING, AFTER = "before", "during", "after"
IDLE_SECONDS = 20.0  # after which an idle connection ends
RECEIVE_BYTES = 64 * 1024
NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends a reset
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_SECRETS = re.compile(
    rb"\r\n(?:Ocp-Apim-Subscription-Key|Authorization): ([^\r]*)|(?<=[?&]sig=)([^& ]*)", re.IGNORECASE
)


@dataclass(frozen=True)
class SocketFault:
    """A fault in one exchange.

    `when`: `before` the request's body, `during` it, or `after` it. After it, the fault replaces or cuts the answer.
    `method` and `skip` choose the exchange: the first of that method, after `skip` others of it.
    `seconds`: the length of a stall or a delay.
    `answer`: sent instead of the server's answer, by the kinds that need one.
    `echo`: the answer's body repeats the request's secrets in a random encoding, and then its head.
    """

    kind: str
    when: str = AFTER
    method: str | None = None
    skip: int = 0
    seconds: float = 1.0
    answer: bytes = b""
    echo: bool = False


class Gone(Exception):
    """The fault or a peer ended the connection."""


class Cut(Gone):
    """The connection ended without a TLS close notification."""


class Side:
    """One peer's bytes, split into heads and bodies and otherwise unchanged."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._buffer = bytearray()
        connection.settimeout(IDLE_SECONDS)

    def head(self) -> bytes:
        """Return the bytes up to the empty line, or nothing if the peer has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return b""
        return self._take(self._buffer.index(b"\r\n\r\n") + 4)

    def body(self, head: bytes) -> Iterator[bytes]:
        """Yield the body that follows this head, chunked or with a Content-Length, with its framing.

        Raises Gone if the peer closes before the end.
        """
        if _CHUNKED.search(head):
            size = 1
            while size:
                line = self._line()
                size = int(line.split(b";")[0], 16)
                yield line + self._exactly(size + 2)
        elif length := _LENGTH.search(head):
            remaining = int(length[1])
            while remaining:
                piece = self._exactly(min(remaining, RECEIVE_BYTES))
                remaining -= len(piece)
                yield piece

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if not self._receive():
                raise Gone
        return self._take(self._buffer.index(b"\r\n") + 2)

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._receive():
                raise Gone
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _receive(self) -> bool:
        data = self.socket.recv(RECEIVE_BYTES)
        self._buffer += data
        return bool(data)


@dataclass
class Exchange:
    """One request and its answer, with or without a fault."""

    client: Side
    server: Side
    head: bytes
    fault: SocketFault | None
    stopping: threading.Event
    random: random.Random
    ended: bool = False

    def run(self) -> None:
        """Forward the request and its answer. Raises Gone if the connection has ended."""
        self._break(BEFORE, b"")
        request = bytearray(self.head)
        for piece in self.client.body(self.head):
            request += piece
            self._break(DURING, b"")
        self.server.socket.sendall(request)
        answer = self._answer()
        self._break(DURING, answer)  # a request without a body breaks during the answer's body
        self._break(AFTER, answer)
        if not self.ended:
            self.client.socket.sendall(answer)

    def _answer(self) -> bytes:
        while (head := self.server.head()).startswith(b"HTTP/1.1 1"):
            pass
        if not head:
            raise Gone
        return head if self.head.startswith(b"HEAD ") else head + b"".join(self.server.body(head))

    def _break(self, when: str, answer: bytes) -> None:
        """Apply the fault if this is its moment. `answer` is the server's; it is empty before there is one."""
        if self.fault and self.fault.when == when:
            fault, self.fault = self.fault, None
            getattr(self, "_" + fault.kind.replace(" ", "_"))(fault, answer)

    def _reset(self, fault: SocketFault, answer: bytes) -> None:
        self._send_part(answer)
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.client.socket.close()
        raise Cut

    def _half_close(self, fault: SocketFault, answer: bytes) -> None:
        self._send_part(answer)
        socket.socket.shutdown(self.client.socket, socket.SHUT_WR)
        self._drain(fault.seconds)
        raise Gone

    def _stall(self, fault: SocketFault, answer: bytes) -> None:
        self._send_part(answer)
        self.stopping.wait(fault.seconds)
        raise Gone

    def _drip(self, fault: SocketFault, answer: bytes) -> None:
        """Send everything slowly. The client receives all of it unless it gives up."""
        if not answer:
            self.stopping.wait(fault.seconds / 2)
            return
        step = max(1, len(answer) // 40)
        for at in range(0, len(answer), step):
            self.client.socket.sendall(answer[at : at + step])
            self.stopping.wait(fault.seconds / 40)
        raise Gone

    def _late(self, fault: SocketFault, answer: bytes) -> None:
        self.stopping.wait(fault.seconds)

    def _garbage(self, fault: SocketFault, answer: bytes) -> None:
        self.client.socket.sendall(self.random.randbytes(self.random.choice((3, 50, 5000))) + b"\r\n\r\n")
        raise Gone

    def _wrong_length(self, fault: SocketFault, answer: bytes) -> None:
        """Announce more or fewer bytes than are sent."""
        whole = answer or fault.answer
        by = self.random.choice((-20, -1, 1, 20))
        changed = _LENGTH.sub(lambda found: found[0].replace(found[1], b"%d" % max(0, int(found[1]) + by)), whole, 1)
        self.client.socket.sendall(changed)
        if not answer or self.random.random() < 0.5:  # otherwise the surplus comes before the next answer
            raise Gone
        self.ended = True

    def _truncated(self, fault: SocketFault, answer: bytes) -> None:
        self._send_part(answer or fault.answer)
        raise Gone

    def _empty(self, fault: SocketFault, answer: bytes) -> None:
        """Send nothing at all, or an answer without a body."""
        if self.random.random() < 0.5:
            self.client.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        raise Gone

    def _tls_cut(self, fault: SocketFault, answer: bytes) -> None:
        self._send_part(answer)
        raise Cut

    def _answered(self, fault: SocketFault, answer: bytes) -> None:
        """Send another answer, and close at once or after the client has sent its request."""
        body = self._echo() if fault.echo else b"no"
        self.client.socket.sendall(fault.answer + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        if self.random.random() < 0.5:
            self._drain(fault.seconds)
        raise Gone

    def _echo(self) -> bytes:
        """Return the secrets of the request's head in a random encoding, then the head as it is.

        They come first, because an error's message quotes only the beginning.
        """
        secrets = " ".join((found[1] or found[2]).decode("latin-1") for found in _SECRETS.finditer(self.head))
        return ENCODINGS[self.random.choice(sorted(ENCODINGS))](f"Denied: {secrets} ") + b"You asked: " + self.head

    def _send_part(self, answer: bytes) -> None:
        self.client.socket.sendall(answer[: self.random.randrange(len(answer))] if answer else b"")

    def _drain(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        self.client.socket.settimeout(seconds)
        while time.monotonic() < ends and self.client.socket.recv(RECEIVE_BYTES):
            pass
