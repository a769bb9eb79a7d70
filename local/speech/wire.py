"""One client's connection. HTTP is parsed by h11: strict, well kept, and without a socket of its own, so that every way
of breaking the protocol on purpose stays possible.
"""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import h11

from local.speech.answers import Answer

RECEIVE_BYTES = 64 * 1024
MAX_HEAD_BYTES = 32 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024  # twice a minute of WAV
IDLE_SECONDS = 60.0  # no single read or write waits longer
LINGER_SECONDS = 5.0  # an early answer's client may finish sending for so long
NO_LINGER = struct.pack("ii", 1, 0)


@dataclass
class Received:
    """One request, as it came. Filled in while it is served; complete before its answer is sent.

    `audio` is the body as received, in `chunks` HTTP chunks; `connection` counts TCP connections from 1; `started` and
    `ended` are on the monotonic clock.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    connection: int
    parameters: list[tuple[str, str]] = field(repr=False)
    audio: bytes = b""
    chunks: int = 0
    status: int = 0
    started: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def finish(self, body: "Body", status: int) -> None:
        self.audio, self.chunks, self.status = bytes(body.content), len(body.starts), status
        self.ended = time.monotonic()


class ClientGone(Exception):
    """The client closed its side in the middle of a request."""


class Body:
    """A request's body as it arrives: its bytes, up to the first too many, and where each HTTP chunk starts."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.starts: list[int] = []

    def add(self, data: h11.Data) -> None:
        if data.chunk_start or not self.starts:
            self.starts.append(len(self.content))
        self.content += data.data[: MAX_BODY_BYTES + 1 - len(self.content)]  # one byte more tells that it is too much

    def chunks(self) -> list[bytes]:
        ends = [*self.starts, len(self.content)][1:]
        return [bytes(self.content[start:end]) for start, end in zip(self.starts, ends, strict=True)]


class Wire:
    """A connection's requests and answers, one after another. `stopping` cuts every wait short."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self._socket = sock
        self._stopping = stopping
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.body = Body()
        sock.settimeout(IDLE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on."""
        secured = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._socket = secured
        if self._stopping.is_set():  # `shut` may have met the bare socket
            raise ClientGone
        secured.do_handshake()

    def request(self) -> h11.Request | None:
        """The next request's head; None once the client is done, or may not send another one."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        if self._http.our_state is not h11.IDLE:
            return None
        self.body = Body()
        event = self._event()
        return event if isinstance(event, h11.Request) else None

    def arriving(self) -> Iterator[int]:
        """Read the body into `self.body`; yields its length after every piece."""
        while self._http.their_state is h11.SEND_BODY:
            event = self._event()
            if isinstance(event, h11.Data):
                self.body.add(event)
                yield len(self.body.content)

    def wait(self, seconds: float) -> None:
        """Sleep; raises ConnectionAbortedError where the endpoint stops meanwhile."""
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the endpoint stops")

    def answer(self, answer: Answer, drip_seconds: float = 0.0, held_back: int = 0) -> None:
        """Send an answer, byte by byte with `drip_seconds` between them; the last `held_back` bytes stay unsent."""
        data = self._head(answer) + self._http.send(h11.Data(data=answer.body))
        if held_back:
            data = data[:-held_back]
        else:
            data += self._http.send(h11.EndOfMessage())
        if not drip_seconds:
            self.raw(data)
            return
        for at in range(len(data)):
            self.raw(data[at : at + 1])
            self.wait(drip_seconds)

    def may_answer(self) -> bool:
        """Whether nothing was answered yet, so that a last word is possible after a protocol error."""
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def linger(self) -> None:
        """After an early answer, take what the client still sends for a while, so that it reads the answer in peace."""
        deadline = time.monotonic() + LINGER_SECONDS
        if self._socket.fileno() < 0:
            return
        with suppress(OSError, ClientGone, h11.RemoteProtocolError):
            self._socket.settimeout(LINGER_SECONDS)
            for _ in self.arriving():
                if time.monotonic() > deadline or self._stopping.is_set():
                    return
            self._say_goodbye()

    def reset(self) -> None:
        """Close so that the client sees ECONNRESET."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._socket.close()

    def close(self) -> None:
        """Close at once, whatever the client still sends."""
        self._socket.close()

    def shut(self) -> None:
        """From another thread: end every wait on this connection."""
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

    def _say_goodbye(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.unwrap()
