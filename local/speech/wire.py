"""One client's connection to the stand-in.

h11 parses the HTTP. It is strict, well maintained and has no socket of its own, so tests can break the protocol on
purpose in every way.
"""

import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import h11

from local.speech.answers import Answer

RECEIVE_BYTES = 64 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024  # twice a minute of WAV
IDLE_SECONDS = 60.0  # the longest wait for a single read or write
LINGER_SECONDS = 5.0  # after an early answer, the client may finish sending for this long
NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends a reset


@dataclass
class Received:
    """One request. It is filled in while it is served, and complete before its answer is sent.

    audio: the body as received; empty without `keep_audio`. size, sha256, chunks: the body's bytes, hash and
    number of HTTP chunks. connection: the number of its TCP connection, from 1. status: 0 if no status was sent.
    started, ended: on the monotonic clock, which all processes of a machine share.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    connection: int
    parameters: list[tuple[str, str]] = field(repr=False)
    keep_audio: bool = field(default=True, repr=False)
    audio: bytes = field(default=b"", repr=False)
    size: int = 0
    sha256: str = ""
    chunks: int = 0
    status: int = 0
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def finish(self, body: "Body", status: int) -> None:
        self.audio = bytes(body.content) if self.keep_audio else b""
        self.size, self.chunks = len(body.content), len(body.starts)
        self.sha256 = hashlib.sha256(body.content).hexdigest()
        self.status, self.ended = status, time.monotonic()

    def as_json(self) -> dict[str, Any]:
        """Return all fields but the audio."""
        return {name: value for name, value in vars(self).items() if name != "audio"}


class ClientGone(Exception):
    """The client closed its side in the middle of a request."""


class Body:
    """A request's body as it arrives.

    content: its bytes, up to one more than the limit. starts: where each HTTP chunk starts in them.
    """

    def __init__(self) -> None:
        self.content = bytearray()
        self.starts: list[int] = []

    def add(self, data: h11.Data) -> None:
        if data.chunk_start or not self.starts:
            self.starts.append(len(self.content))
        self.content += data.data[: MAX_BODY_BYTES + 1 - len(self.content)]  # one byte more shows that it is too long


class Wire:
    """The requests and answers of one connection, one after another. Setting `stopping` ends every wait."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self._socket = sock
        self._stopping = stopping
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.body = Body()
        sock.settimeout(IDLE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self, context: ssl.SSLContext) -> None:
        """Switch to TLS."""
        secured = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = secured
        if self._stopping.is_set():  # `shut` may have shut the socket below
            raise ClientGone
        secured.do_handshake()

    def request(self) -> h11.Request | None:
        """Return the next request's head, or None if the client has finished or may not send another one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE:
            return None
        self.body = Body()
        event = self._event()
        return event if isinstance(event, h11.Request) else None

    def arriving(self) -> Iterator[int]:
        """Read the body into `self.body`, and yield its length after every piece."""
        while self._http.their_state is h11.SEND_BODY:
            event = self._event()
            if isinstance(event, h11.Data):
                self.body.add(event)
                yield len(self.body.content)

    def wait(self, seconds: float) -> None:
        """Sleep. Raises ConnectionAbortedError if the endpoint stops meanwhile."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the endpoint stops")

    def answer(self, answer: Answer, drip_seconds: float = 0.0, held_back: int = 0) -> None:
        """Send an answer, without its last `held_back` bytes.

        With `drip_seconds`, send it byte by byte, that far apart.
        """
        data = self._head(answer) + self._http.send(h11.Data(data=answer.body))
        if held_back:
            data = data[:-held_back]
        else:
            data += self._http.send(h11.EndOfMessage())
        if not drip_seconds:
            self.raw(data)
            return
        for position in range(len(data)):
            self.raw(data[position : position + 1])
            self.wait(drip_seconds)

    def may_answer(self) -> bool:
        """Tell whether a protocol error can still be answered, because no answer has begun."""
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def linger(self) -> None:
        """Read what the client still sends after an early answer. Otherwise a reset could cost it the answer."""
        deadline = time.monotonic() + LINGER_SECONDS
        if self._socket.fileno() < 0:
            return
        with suppress(OSError, ClientGone, h11.RemoteProtocolError):
            self._socket.settimeout(LINGER_SECONDS)
            for _ in self.arriving():
                if time.monotonic() > deadline or self._stopping.is_set():
                    return
            self._end_tls()

    def reset(self) -> None:
        """Close so that the client sees ECONNRESET."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._socket.close()

    def close(self) -> None:
        """Close at once, even if the client is still sending."""
        self._socket.close()

    def shut(self) -> None:
        """End every wait on this connection, from another thread."""
        with suppress(OSError):
            # Not SSLSocket's own shutdown, which takes the TLS state away from the thread that uses it.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _head(self, answer: Answer) -> bytes:
        headers: Mapping[str, str] = {**answer.headers, "Content-Length": str(len(answer.body))}
        if self._http.their_state is not h11.DONE:
            headers = {**headers, "Connection": "close"}
        return self._http.send(h11.Response(status_code=answer.status, headers=list(headers.items())))

    def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self.raw(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            data = self._socket.recv(RECEIVE_BYTES)
            if not data and self._http.their_state is not h11.IDLE:
                raise ClientGone
            self._http.receive_data(data)
        return event

    def _end_tls(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.unwrap()
