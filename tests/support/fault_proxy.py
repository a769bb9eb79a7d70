"""A TCP proxy on loopback that breaks one exchange at a time, on raw sockets, in the ways that networks do.

Between it and the server all is well; towards the client it may refuse, reset, close half, stall, drip, or send an
answer that is not the server's. With `tls` the client's side is TLS, and can be cut without TLS's own goodbye.
"""

import random
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from tests.support.broken_exchange import BEFORE, IDLE_SECONDS, Cut, Exchange, Gone, Side, SocketFault


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
                _end(connection)

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
            self._fault = replace(fault, skip=fault.skip - 1)
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


def _say_goodbye(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            connection.settimeout(0.1)
            connection.unwrap()


def _end(connection: socket.socket) -> None:
    """Not closed: a thread that still waits at it would read from whatever gets the same number next."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _close(connection: socket.socket) -> None:
    _end(connection)
    with suppress(OSError):
        connection.close()
