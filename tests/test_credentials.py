"""Key and token: what is sent, and when a token is renewed."""

import threading

from tests.support import FakeClock
from transcription.credentials import Key, Token


class Issuer:
    def __init__(self) -> None:
        self.issued = 0

    def __call__(self) -> str:
        self.issued += 1
        return f"token{self.issued}"


def test_a_key_is_sent_as_it_is_and_cannot_be_renewed() -> None:
    key = Key("secret")
    assert key.headers() == {"Ocp-Apim-Subscription-Key": "secret"}
    assert not key.renew(key.headers())


def test_a_token_is_kept_for_nine_minutes(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    assert token.headers() == {"Authorization": "Bearer token1"}
    clock.sleep(539)
    assert token.headers() == {"Authorization": "Bearer token1"}
    clock.sleep(1)
    assert token.headers() == {"Authorization": "Bearer token2"}


def test_a_refused_token_is_renewed_once_for_all_who_were_refused(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    refused = token.headers()
    assert token.renew(refused)
    assert token.headers() == {"Authorization": "Bearer token2"}
    assert token.renew(refused)
    assert token.headers() == {"Authorization": "Bearer token2"}


def test_many_threads_buy_one_token(clock: FakeClock) -> None:
    issuer = Issuer()
    token = Token(issuer, clock)
    threads = [threading.Thread(target=token.headers) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert issuer.issued == 1


def test_neither_shows_its_secret() -> None:
    assert "secret" not in repr(Key("secret"))
