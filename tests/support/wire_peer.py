"""A peer that answers over raw sockets in every legal and illegal way, one random plan for each request.

The request's head carries the seed of its plan, and its body carries a mark. A right answer repeats that mark. So an
answer that reaches the wrong request is seen.
"""

import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

SEED_HEADER = "X-Plan"
STALE_PAUSE = 0.06  # seconds that a client waits in the middle of a body if the plan sends anything meanwhile
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 199 \r\n\r\n",
)
JUNK = (b"\0", b"\r\n", b"HTTP/1.1 200 OK\r\n", b"0\r\n\r\n", bytes(range(256)))


@dataclass(frozen=True)
class Plan:
    """The course of one exchange."""

    acknowledged: bool
    interim: tuple[bytes, ...]
    framing: str  # length, chunked, trailers, or close
    status: int
    stale: str  # when the answer to the connection's last request comes again: never, "first", "acknowledged" or "late"
    refused: bool  # a refusal comes in place of the acknowledgement
    amid: bytes  # an interim answer while the body is being sent
    doubled: bool
    behind: bytes  # junk after the answer
    cut: float | None  # the share of the answer after which the connection ends
    drip: float  # seconds between bytes
    stall: float | None  # the share of the answer after which nothing more comes

    @classmethod
    def of(cls, seed: int) -> "Plan":
        dice = random.Random(seed)
        return cls(
            acknowledged=dice.random() < 0.98,
            interim=tuple(dice.choices(INTERIM, k=dice.choice([0, 0, 1, 2, 5]))),
            framing=dice.choice(["length", "length", "chunked", "trailers", "close"]),
            status=dice.choice([200] * 8 + [401, 429, 503, 101, 204]),
            stale=dice.choice([""] * 17 + ["first", "acknowledged", "late"]),
            refused=dice.random() < 0.03,
            amid=dice.choice(INTERIM) if dice.random() < 0.1 else b"",
            doubled=dice.random() < 0.15,
            behind=dice.choice(JUNK) if dice.random() < 0.1 else b"",
            cut=dice.random() if dice.random() < 0.1 else None,
            drip=dice.choice([0.0] * 9 + [0.0002]),
            stall=dice.random() if dice.random() < 0.03 else None,
        )


class WirePeer:
    """A server on a loopback port; a context manager. One thread for each connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: list[socket.socket] = []
        self._stopping = threading.Event()

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        return f"https://localhost:{port}/" if self._tls else f"http://127.0.0.1:{port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for sock in (self._listener, *self._connections):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                sock, _ = self._listener.accept()
                self._connections.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ValueError):  # the client hung up, as it may
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as requests:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                last = b""
                while (seed := _read_head(requests)) is not None:
                    plan = Plan.of(seed)
                    if plan.refused and last:
                        sock.sendall(b"HTTP/1.1 429 Busy\r\nContent-Length: %d\r\n\r\n%b" % (len(last), last))
                        return
                    if plan.stale == "first":
                        sock.sendall(last)
                    if plan.acknowledged:
                        sock.sendall(INTERIM[0] + (last if plan.stale == "acknowledged" else b""))
                    if plan.stale == "late":
                        time.sleep(STALE_PAUSE / 2)
                        sock.sendall(last)
                    sock.sendall(plan.amid)
                    last = _framed(plan, _read_body(requests))
                    if not self._answer(sock, plan, last):
                        return

    def _answer(self, sock: socket.socket, plan: Plan, answer: bytes) -> bool:
        """Send the answer as planned, and tell whether the connection goes on."""
        data = b"".join(plan.interim) + answer * (2 if plan.doubled else 1) + plan.behind
        if plan.cut is not None:
            data = data[: int(plan.cut * len(data))]
        if plan.stall is not None:
            sock.sendall(data[: int(plan.stall * len(data))])
            self._stopping.wait(5)
            return False
        for piece in _pieces(data, plan.drip):
            sock.sendall(piece)
        return plan.cut is None and plan.framing != "close"


def _read_head(requests: BinaryIO) -> int | None:
    seed = None
    while line := requests.readline().strip():
        name, _, value = line.decode().partition(": ")
        if name.lower() == SEED_HEADER.lower():
            seed = int(value)
    return seed


def _read_body(requests: BinaryIO) -> bytes:
    body = b""
    while size := int(requests.readline(), 16):
        body += requests.read(size)
        requests.readline()
    requests.readline()
    return body


def _framed(plan: Plan, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d Planned\r\n" % plan.status
    if plan.status in (101, 204):
        return head + b"\r\n"
    match plan.framing:
        case "length":
            return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        case "close":
            return head + b"Connection: close\r\n\r\n" + body
        case framing:
            half = len(body) // 2
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
            trailers = b"X-Trailer: 1\r\n" * 3 if framing == "trailers" else b""
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


def _pieces(data: bytes, drip: float) -> Iterator[bytes]:
    if not drip:
        yield data
        return
    for at in range(len(data)):
        yield data[at : at + 1]
        time.sleep(drip)
