"""A TCP proxy on loopback that breaks one exchange at a time, on raw sockets, in the ways that networks do.

Between it and the server all is well; towards the client it may refuse, reset, close half, stall, drip, or send an
answer that is not the server's. With `tls` the client's side is TLS, and can be cut without TLS's own goodbye.
"""

import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

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


class FaultProxy:
    """A context manager. `heads` are those of all requests that arrived; `met` counts the faults that took place."""

    def __init__(self, target: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        self.met = 0
        self._target = target
        self._tls = tls
        self._fault: SocketFault | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._random = random.Random(7)

    def __enter__(self) -> Self:
        self._held = socket.socket()  # bound and never listening: while we refuse, the port is nobody else's
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = int(self._held.getsockname()[1])
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        _close(self._listener)
        self._held.close()
        with self._lock:
            for connection in list(self._open):
                _close(connection)

    def set(self, fault: SocketFault) -> None:
        """For the next exchange that it suits. Refusing begins at once."""
        with self._lock:
            self._fault = None if fault.kind == "refuse" else fault
        if fault.kind == "refuse":
            self.met += 1
            _close(self._listener)
            threading.Timer(fault.seconds, self._listen).start()

    def clear(self) -> None:
        with self._lock:
            self._fault = None

    def _listen(self) -> None:
        if not self._stopping.is_set():
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128, reuse_port=True)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed: refusing, or stopping
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with suppress(OSError, Gone, ValueError):
            client = self._secured(client)
            self._open.add(client)
            with socket.create_connection(self._target, IDLE_SECONDS) as server:
                self._exchanges(Side(client), Side(server))
        self._open.discard(client)
        _close(client)

    def _secured(self, client: socket.socket) -> socket.socket:
        if self._tls is None:
            return client
        client.settimeout(IDLE_SECONDS)
        if self._taken(lambda fault: fault.kind == "tls cut" and fault.when == BEFORE):
            client.recv(1)
            raise Gone
        return self._tls.wrap_socket(client, server_side=True)

    def _exchanges(self, client: Side, server: Side) -> None:
        while head := client.head():
            self.heads.append(head)
            fault = self._taken(lambda fault: self._suits(fault, head))
            try:
                Exchange(client, server, head, fault, self._stopping, self._random).play()
            except Cut:
                raise
            except Gone:
                _say_goodbye(client.socket)
                raise

    def _suits(self, fault: SocketFault, head: bytes) -> bool:
        if fault.method and not head.startswith(fault.method.encode() + b" "):
            return False
        if fault.skip:
            self._fault = SocketFault(**{**vars(fault), "skip": fault.skip - 1})
            return False
        return True

    def _taken(self, suits: Callable[[SocketFault], bool]) -> SocketFault | None:
        with self._lock:
            fault = self._fault
            if fault is None or not suits(fault):
                return None
            self._fault = None
            self.met += 1
            return fault


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


def _say_goodbye(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            connection.settimeout(0.1)
            connection.unwrap()


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    with suppress(OSError):
        connection.close()
