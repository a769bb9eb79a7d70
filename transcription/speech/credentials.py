"""How a request proves who it is: the resource's key, or a token bought with it.

A token keeps the key off every request but one in nine minutes. Neither is ever part of a message or a repr.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from transcription.clock import Clock
from transcription.errors import Retryable

KEY_HEADER = "Ocp-Apim-Subscription-Key"
TOKEN_LIFETIME = 9 * 60.0  # seconds; tokens are valid for ten minutes, so this one is renewed at nine


class Credential(Protocol):
    def headers(self) -> dict[str, str]:
        """The headers that authenticate one request. May go to the network, with the errors of `speech`."""

    def renew(self, refused: dict[str, str]) -> bool:
        """After a 401: whether there is something new to try instead of the `refused` headers."""


class Key:
    """The resource's key, sent with every request."""

    def __init__(self, key: str) -> None:
        self._headers = {KEY_HEADER: key}

    def headers(self) -> dict[str, str]:
        return dict(self._headers)

    def renew(self, refused: dict[str, str]) -> bool:  # noqa: ARG002  # nothing to renew, whatever was refused
        return False


class Token:
    """A token, shared by all threads of the process and fetched by one of them at a time.

    Those who waited for a fetch share its failure as well: else each would try in turn, and the last wait for all.
    """

    def __init__(self, fetch: Callable[[], str], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._headers: dict[str, str] = {}
        self._expires = 0.0
        self._failures = 0
        self._failure = Retryable("")

    def headers(self) -> dict[str, str]:
        failures_before = self._failures
        with self._lock:
            if self._failures > failures_before:
                raise Retryable(str(self._failure), self._failure.retry_after)
            if not self._headers or self._clock.monotonic() >= self._expires:
                self._headers = {"Authorization": f"Bearer {self._fetched()}"}
                self._expires = self._clock.monotonic() + TOKEN_LIFETIME
            return dict(self._headers)

    def _fetched(self) -> str:
        try:
            return self._fetch()
        except Retryable as failure:
            self._failures += 1
            self._failure = failure
            raise

    def renew(self, refused: dict[str, str]) -> bool:
        with self._lock:
            if self._headers == refused:  # else another thread has renewed it meanwhile
                self._headers = {}
            return True
