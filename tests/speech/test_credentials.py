"""A key is sent as it is. A token is fetched, shared and renewed."""

import threading
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError

from tests.support.clock import FakeClock
from transcription.errors import Misconfigured, Retryable
from transcription.speech.credentials import Identity, Key, Token


class Issuer:
    """Issues tokens slowly, so that threads have to wait for each other. A `broken` one fails."""

    def __init__(self, broken: bool = False) -> None:
        self.issued = 0
        self._broken = broken

    def __call__(self) -> str:
        self.issued += 1
        threading.Event().wait(0.05)
        if self._broken:
            raise Retryable("down", 7.0)
        return f"token{self.issued}"


def test_a_key_is_sent_unchanged_and_cannot_be_renewed() -> None:
    key = Key("secret")
    assert key.headers() == {"Ocp-Apim-Subscription-Key": "secret"}
    assert not key.renew(key.headers())


def test_a_token_is_cached_for_nine_minutes(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    assert token.headers() == {"Authorization": "Bearer token1"}
    clock.sleep(539)
    assert token.headers() == {"Authorization": "Bearer token1"}
    clock.sleep(1)
    assert token.headers() == {"Authorization": "Bearer token2"}


def test_a_token_that_several_requests_saw_refused_is_renewed_once(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    refused = token.headers()
    assert token.renew(refused)
    assert token.headers() == {"Authorization": "Bearer token2"}
    assert token.renew(refused)
    assert token.headers() == {"Authorization": "Bearer token2"}


def test_many_threads_fetch_one_token(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    threads = [threading.Thread(target=token.headers) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert issuer.issued == 1


def test_threads_that_wait_for_a_fetch_share_its_failure(clock: FakeClock) -> None:
    issuer = Issuer(broken=True)
    token = Token(issuer, clock)
    failures: list[Retryable] = []

    def headers() -> None:
        try:
            token.headers()
        except Retryable as failure:
            failures.append(failure)

    threads = [threading.Thread(target=headers) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(failures) == 16
    assert {(str(failure), failure.retry_after) for failure in failures} == {("down", 7.0)}
    assert issuer.issued < 16


def test_the_repr_of_a_credential_has_no_secret(clock: FakeClock) -> None:
    assert "secret" not in repr(Key("secret"))
    token = Token(lambda: "secret", clock)
    assert "secret" in token.headers()["Authorization"]
    assert "secret" not in repr(token)


class Entra:
    """A credential that returns a token, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self._failure = failure

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self._failure:
            raise self._failure
        return AccessToken("e.y.j", 0)


def test_an_identity_sends_the_resources_id_with_its_token() -> None:
    entra = Entra()
    identity = Identity("/subscriptions/1", entra)
    assert identity.headers() == {"Authorization": "Bearer aad#/subscriptions/1#e.y.j"}
    assert entra.scopes == ["https://cognitiveservices.azure.com/.default"]
    assert not identity.renew(identity.headers())
    assert "subscriptions" not in repr(identity)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (CredentialUnavailableError("secret"), Misconfigured),
        (ClientAuthenticationError("secret"), Misconfigured),
        (ServiceRequestError("secret"), Retryable),
    ],
)
def test_an_identity_without_a_token_is_misconfigured_unless_the_network_failed(
    failure: Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=type(failure).__name__) as caught:
        Identity("/subscriptions/1", Entra(failure)).headers()
    assert "secret" not in str(caught.value)
