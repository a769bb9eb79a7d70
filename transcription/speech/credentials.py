"""Authentication with the Speech resource's key, or with a token that is obtained with the key.

With tokens, the key is sent only once in nine minutes. Neither key nor token is ever part of a message or a repr.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from transcription.clock import Clock
from transcription.errors import Retryable

KEY_HEADER = "Ocp-Apim-Subscription-Key"
TOKEN_LIFETIME = 9 * 60.0  # seconds; the service accepts a token for ten minutes


class Credential(Protocol):
    """A way to authenticate requests."""

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate one request.

        Raises Retryable or Misconfigured if they have to be fetched and the fetch fails.
        """

    def renew(self, refused: dict[str, str]) -> bool:
        """Discard headers that were refused with 401. Return whether `headers` may now return others."""


class Key:
    """The Speech resource's key, sent with every request."""

    def __init__(self, key: str) -> None:
        self._headers = {KEY_HEADER: key}

    def headers(self) -> dict[str, str]:
        return dict(self._headers)

    def renew(self, refused: dict[str, str]) -> bool:  # noqa: ARG002  # a key cannot be renewed
        return False


class Token:
    """A token that all threads of the process share. One thread at a time fetches it.

    If the fetch fails, it fails for the threads that waited for it too. Otherwise each would try in turn, and the last
    one would have to wait for all others.
    """

    def __init__(self, fetch: Callable[[], str], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._headers: dict[str, str] = {}
        self._expires = 0.0
        self._failures = 0
        self._last_failure = Retryable("")

    def headers(self) -> dict[str, str]:
        failures_before = self._failures  # read without the lock: it may rise while this thread waits
        with self._lock:
            if self._failures > failures_before:
                raise Retryable(str(self._last_failure), self._last_failure.retry_after)
            if not self._headers or self._clock.monotonic() >= self._expires:
                self._headers = {"Authorization": f"Bearer {self._fetch_token()}"}
                self._expires = self._clock.monotonic() + TOKEN_LIFETIME
            return dict(self._headers)

    def _fetch_token(self) -> str:
        try:
            return self._fetch()
        except Retryable as error:
            self._failures += 1
            self._last_failure = error
            raise

    def renew(self, refused: dict[str, str]) -> bool:
        with self._lock:
            if self._headers == refused:  # otherwise another thread has renewed the token already
                self._headers = {}
            return True
