"""One request and its answer over raw sockets, broken on purpose: what `faultproxy` does to an exchange."""

import random
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

BEFORE, DURING, AFTER = "before", "during", "after"
IDLE_SECONDS = 20.0
RECEIVE_BYTES = 64 * 1024
NO_LINGER = struct.pack("ii", 1, 0)
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)


@dataclass(frozen=True)
class SocketFault:
    """What happens to one exchange, and when: `before` the request's body, `during` it, or `after` it, in place of or
    in the midst of the answer.

    `method` and `skip` choose the exchange: the one after so many of that method. `seconds` is how long a stall or a
    delay lasts, `answer` what is sent instead of the server's answer, where the kind needs one; with `echo` its body is
    what was asked, secrets and all.
    """

    kind: str
    when: str = AFTER
    method: str | None = None
    skip: int = 0
    seconds: float = 1.0
    answer: bytes = b""
    echo: bool = False


class Gone(Exception):
    """The connection is over, as the fault or a peer wanted it."""


class Cut(Gone):
    """And without TLS's goodbye."""


class Side:
    """One peer's bytes, cut into heads and bodies, which stay as they came."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._kept = bytearray()
        connection.settimeout(IDLE_SECONDS)

    def head(self) -> bytes:
        """Up to the empty line; nothing where the peer is done."""
        while b"\r\n\r\n" not in self._kept:
            if not self._more():
                return b""
        return self._take(self._kept.index(b"\r\n\r\n") + 4)

    def body(self, head: bytes) -> Iterator[bytes]:
        """What follows this head, in the framing that it announces."""
        if _CHUNKED.search(head):
            size = 1
            while size:
                line = self._line()
                size = int(line.split(b";")[0], 16)
                yield line + self._exactly(size + 2)
        elif length := _LENGTH.search(head):
            left = int(length[1])
            while left:
                piece = self._exactly(min(left, RECEIVE_BYTES))
                left -= len(piece)
                yield piece

    def _line(self) -> bytes:
        while b"\r\n" not in self._kept:
            if not self._more():
                raise Gone
        return self._take(self._kept.index(b"\r\n") + 2)

    def _exactly(self, size: int) -> bytes:
        while len(self._kept) < size:
            if not self._more():
                raise Gone
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._kept[:size])
        del self._kept[:size]
        return taken

    def _more(self) -> bool:
        data = self.socket.recv(RECEIVE_BYTES)
        self._kept += data
        return bool(data)


@dataclass
class Exchange:
    """One request and its answer, with a fault or without."""

    client: Side
    server: Side
    head: bytes
    fault: SocketFault | None
    stopping: threading.Event
    random: random.Random
    ended: bool = False

    def play(self) -> None:
        """Raises Gone where it was the connection's last."""
        self._break(BEFORE, b"")
        request = bytearray(self.head)
        for piece in self.client.body(self.head):
            request += piece
            self._break(DURING, b"")
        self.server.socket.sendall(request)
        answer = self._answer()
        self._break(DURING, answer)  # of a request without a body: that of the answer
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
        """`answer` is the server's, where there is one already."""
        if self.fault and self.fault.when == when:
            fault, self.fault = self.fault, None
            getattr(self, "_" + fault.kind.replace(" ", "_"))(fault, answer)

    def _reset(self, fault: SocketFault, answer: bytes) -> None:
        self._part(answer)
        self.client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.client.socket.close()
        raise Cut

    def _half_close(self, fault: SocketFault, answer: bytes) -> None:
        self._part(answer)
        socket.socket.shutdown(self.client.socket, socket.SHUT_WR)
        self._drain(fault.seconds)
        raise Gone

    def _stall(self, fault: SocketFault, answer: bytes) -> None:
        self._part(answer)
        self.stopping.wait(fault.seconds)
        raise Gone

    def _drip(self, fault: SocketFault, answer: bytes) -> None:
        """Whole and right in the end, unless the client loses patience."""
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
        """More promised than sent, or less."""
        whole = answer or fault.answer
        by = self.random.choice((-20, -1, 1, 20))
        changed = _LENGTH.sub(lambda found: found[0].replace(found[1], b"%d" % max(0, int(found[1]) + by)), whole, 1)
        self.client.socket.sendall(changed)
        if not answer or self.random.random() < 0.5:  # else what is too much lies in the way of the next answer
            raise Gone
        self.ended = True

    def _truncated(self, fault: SocketFault, answer: bytes) -> None:
        self._part(answer or fault.answer)
        raise Gone

    def _empty(self, fault: SocketFault, answer: bytes) -> None:
        """Nothing at all, or an answer without a body."""
        if self.random.random() < 0.5:
            self.client.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        raise Gone

    def _tls_cut(self, fault: SocketFault, answer: bytes) -> None:
        self._part(answer)
        raise Cut

    def _answered(self, fault: SocketFault, answer: bytes) -> None:
        """With another status, then closed at once or when the client has sent what it wants to send."""
        body = b"You asked: " + self.head if fault.echo else b"no"
        self.client.socket.sendall(fault.answer + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        if self.random.random() < 0.5:
            self._drain(fault.seconds)
        raise Gone

    def _part(self, answer: bytes) -> None:
        self.client.socket.sendall(answer[: self.random.randrange(len(answer))] if answer else b"")

    def _drain(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        self.client.socket.settimeout(seconds)
        while time.monotonic() < ends and self.client.socket.recv(RECEIVE_BYTES):
            pass
