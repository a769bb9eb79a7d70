"""A TCP proxy on loopback that breaks one exchange at a time, on raw sockets, the way networks do.

Only the client's side breaks: the proxy may refuse, reset, close one direction, stall, drip, or send an answer of its
own. With `tls`, the client's side is TLS, and can end without a TLS close notification.
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
    """A proxy as a context manager. `heads` are the heads of all requests; `met` counts the faults that took place."""

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
        self._held = socket.socket()  # holds the port while connections are refused; it never listens
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
                _shut_down(connection)

    def set(self, fault: SocketFault) -> None:
        """Break the next exchange that the fault matches. A refusal begins at once."""
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
            except OSError:  # the listener is closed: refusing or stopping
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
        if self._take_fault(lambda fault: fault.kind == "tls cut" and fault.when == BEFORE):
            client.recv(1)
            raise Gone
        return self._tls.wrap_socket(client, server_side=True)

    def _exchanges(self, client: Side, server: Side) -> None:
        while head := client.head():
            self.heads.append(head)
            fault = self._take_fault(lambda fault: self._matches(fault, head))
            try:
                Exchange(client, server, head, fault, self._stopping, self._random).run()
            except Cut:
                raise
            except Gone:
                _close_tls(client.socket)
                raise

    def _matches(self, fault: SocketFault, head: bytes) -> bool:
        if fault.method and not head.startswith(fault.method.encode() + b" "):
            return False
        if fault.skip:
            self._fault = replace(fault, skip=fault.skip - 1)
            return False
        return True

    def _take_fault(self, matches: Callable[[SocketFault], bool]) -> SocketFault | None:
        with self._lock:
            fault = self._fault
            if fault is None or not matches(fault):
                return None
            self._fault = None
            self.met += 1
            return fault


def _close_tls(connection: socket.socket) -> None:
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError, ValueError):
            connection.settimeout(0.1)
            connection.unwrap()


def _shut_down(connection: socket.socket) -> None:
    """Shut the connection down without closing it. A thread that still reads could get a reused descriptor."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _close(connection: socket.socket) -> None:
    _shut_down(connection)
    with suppress(OSError):
        connection.close()
