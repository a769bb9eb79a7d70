"""Authentication with the Speech resource's key, with a token that is obtained with the key, or with an identity.

With tokens, the key is sent only once in nine minutes. With an identity, there is no key: Microsoft Entra issues the
token. Neither key nor token is ever part of a message or a repr.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from transcription.clock import Clock
from transcription.errors import Misconfigured, Retryable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

KEY_HEADER = "Ocp-Apim-Subscription-Key"
SCOPE = "https://cognitiveservices.azure.com/.default"
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


class Identity:
    """Microsoft Entra tokens of the app's identity, for one Speech resource.

    The short audio API wants the resource's id along with the token (cognitive-services-speech-service-rest-auth.md).
    The credential keeps a token until it is about to expire, and fetches it for all threads.
    """

    def __init__(self, resource_id: str, credential: "TokenCredential") -> None:
        self._resource_id = resource_id
        self._credential = credential

    def headers(self) -> dict[str, str]:
        from azure.core.exceptions import (
            AzureError,
            ClientAuthenticationError,
        )  # only this way to authenticate needs it

        try:
            token = self._credential.get_token(SCOPE).token
        except ClientAuthenticationError as error:  # its text may quote a whole answer
            raise Misconfigured(
                f"Microsoft Entra issued no token ({type(error).__name__}). Check that the app has a managed identity,"
                " and that AudioStorage__clientId is its client id if it is a user-assigned one. On a developer's"
                " machine, run az login."
            ) from None
        except AzureError as error:
            raise Retryable(f"no token from Microsoft Entra ({type(error).__name__})") from None
        return {"Authorization": f"Bearer aad#{self._resource_id}#{token}"}

    def renew(self, refused: dict[str, str]) -> bool:  # noqa: ARG002  # a new token would have the same rights
        return False


def entra_credential(client_id: str | None) -> "TokenCredential":
    """Return the credential of the app's identity, or of the user who is logged in on a developer's machine.

    `client_id` chooses a user-assigned identity. Nothing is fetched yet.
    """
    from azure.identity import DefaultAzureCredential  # takes 124 ms, which a key does not need

    options: dict[str, Any] = {"managed_identity_client_id": client_id} if client_id else {}
    return DefaultAzureCredential(**options)
