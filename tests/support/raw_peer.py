"""A peer whose every byte a test writes itself."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from types import TracebackType
from typing import Self

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RawConnection:
    """One accepted connection, seen from the peer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._stream = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_head(self) -> bytes:
        """Return a request's head. Raises EOFError if the client is done."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._stream.readline()
            if not line:
                raise EOFError
            head += line
        return head

    def read_body(self) -> bytes:
        """Return a request's chunked body."""
        body = b""
        while size := int(self._stream.readline() or b"x", 16):
            body += self._stream.read(size)
            self._stream.readline()
        self._stream.readline()
        return body

    def wait_for_hang_up(self) -> None:
        while self._stream.read1():
            pass

    def close(self) -> None:
        self._stream.close()
        self.sock.close()

    def read_request(self, acknowledge: bool = True) -> bytes:
        """Read a whole request and return its body. Ask for the body first, as the service does."""
        self.read_head()
        if acknowledge:
            self.send(CONTINUE)
        return self.read_body()


class RawPeer:
    """A server on a loopback port that plays `script` on each connection; a context manager."""

    def __init__(self, script: Callable[[RawConnection], None], tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._script, self._tls = script, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []

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
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is closed
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, EOFError, ValueError):  # the client hung up, as it may
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with closing(RawConnection(sock)) as connection:
                self._script(connection)
