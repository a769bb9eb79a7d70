"""Exchanges with a deadline that is enforced from outside of any read or write.

A timeout of a socket starts again with every byte. So one thread watches all exchanges, and shuts down the sockets of
those that are late. That ends whatever another thread is doing with them.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

MAX_ANSWER_BYTES = 4 << 20  # a minute of speech with word times takes some ten thousand


class ExchangeFailed(Exception):
    """There is no answer that can be trusted. Another try may get one."""


class TooSlow(ExchangeFailed):
    def __init__(self) -> None:
        super().__init__("the answer came too slowly")


class TooLongAnswer(ExchangeFailed):
    def __init__(self) -> None:
        super().__init__(f"the answer has more than {MAX_ANSWER_BYTES} bytes")


class OutOfOrder(ExchangeFailed):
    def __init__(self) -> None:
        super().__init__("an answer came before the request was sent")


class NotAcknowledged(ExchangeFailed):
    """A kept connection was not fit for another request. No audio was sent over it."""

    def __init__(self, silent: bool = False) -> None:
        super().__init__("a kept connection was not fit to be used again")
        self.silent = silent


class HasDescriptor(Protocol):
    """A socket, or TLS around one."""

    def fileno(self) -> int: ...


class Exchange:
    """One request and its answer, in the thread that began it.

    late: its time is over, and its sockets were shut down.
    acknowledged: the peer asked for the body.
    answered_early: there was an answer before the request was sent. It may belong to an earlier request.
    """

    def __init__(self, seconds: float) -> None:
        self.due = time.monotonic() + seconds
        self.late = False
        self.acknowledged = False
        self.answered_early = False
        self.descriptors: list[int] = []  # copies of our own: the connection may close its socket before the end


class Exchanges:
    """All exchanges of the process.

    One thread serves them all. A timer for each request would need a thread each, and took a sixth of the CPU time.
    """

    def __init__(self) -> None:
        self._pending: set[Exchange] = set()
        self._wakes = -math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._of_this_thread = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Exchange]:
        """Begin an exchange. The sockets that it follows are shut down once it has taken so long."""
        exchange = Exchange(seconds)
        self._of_this_thread.exchange = exchange
        with self._changed:
            self._pending.add(exchange)
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif exchange.due < self._wakes:
                self._changed.notify()
        try:
            yield exchange
        finally:
            self._of_this_thread.exchange = None
            with self._changed:
                self._pending.discard(exchange)
                for descriptor in exchange.descriptors:
                    os.close(descriptor)

    def follow(self, sock: HasDescriptor) -> None:
        """Add the socket to this thread's exchange."""
        if exchange := self._current():
            with self._changed:
                exchange.descriptors.append(os.dup(sock.fileno()))
                if exchange.late:
                    hang_up(exchange.descriptors[-1])

    def mark_acknowledged(self) -> None:
        """Note that the peer asked for the body of this thread's request."""
        if exchange := self._current():
            exchange.acknowledged = True

    def mark_early(self) -> None:
        """Note that there was an answer before this thread's request was sent."""
        if exchange := self._current():
            exchange.answered_early = True

    def _current(self) -> Exchange | None:
        exchange: Exchange | None = getattr(self._of_this_thread, "exchange", None)
        return exchange

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for exchange in [one for one in self._pending if one.due <= now]:
                    self._pending.discard(exchange)
                    exchange.late = True
                    for descriptor in exchange.descriptors:
                        hang_up(descriptor)
                self._wakes = min((exchange.due for exchange in self._pending), default=math.inf)
                self._changed.wait(None if self._wakes == math.inf else self._wakes - now)


EXCHANGES = Exchanges()


def hang_up(descriptor: int) -> None:
    """Shut the connection down in both directions. Whoever reads or writes sees its end."""
    with suppress(OSError, ValueError):  # it is closed already
        sock = socket.socket(fileno=descriptor)
        try:
            sock.shutdown(socket.SHUT_RDWR)
        finally:
            sock.detach()  # the descriptor stays its owner's
