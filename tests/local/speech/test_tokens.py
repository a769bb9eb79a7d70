"""Tokens take the place of the key until they expire or are revoked."""

import re

import pytest
import requests

from local.speech import Script, SpeechEndpoint
from local.speech.tokens import Tokens
from tests.support.speech_requests import Post


def token(
    speech: SpeechEndpoint, session: requests.Session, key: str = "local-key", body: bytes = b""
) -> requests.Response:
    headers = {"Ocp-Apim-Subscription-Key": key}
    return session.post(f"{speech.url}/sts/v1.0/issueToken", headers=headers, data=body, timeout=5)


def test_a_token_replaces_the_key(speech: SpeechEndpoint, session: requests.Session, post: Post) -> None:
    issued = token(speech, session)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", issued.text)
    assert post(ocp_apim_subscription_key=None, authorization=f"Bearer {issued.text}").status_code == 200


@pytest.mark.parametrize("authorization", ["Bearer made.up.token", "Basic local-key"])
def test_a_token_that_was_not_issued_is_refused(post: Post, authorization: str) -> None:
    assert post(ocp_apim_subscription_key=None, authorization=authorization).status_code == 401


def test_revoked_tokens_are_refused(speech: SpeechEndpoint, session: requests.Session, post: Post) -> None:
    authorization = f"Bearer {token(speech, session).text}"
    speech.revoke_tokens()
    assert post(ocp_apim_subscription_key=None, authorization=authorization).status_code == 401


def test_tokens_expire(session: requests.Session, post: Post) -> None:
    with SpeechEndpoint(Script(), token_seconds=0.0) as endpoint:
        authorization = f"Bearer {token(endpoint, session).text}"
        answer = post(endpoint=endpoint, ocp_apim_subscription_key=None, authorization=authorization)
    assert answer.status_code == 401


def test_a_token_request_needs_the_key_and_an_empty_body(speech: SpeechEndpoint, session: requests.Session) -> None:
    assert token(speech, session, key="wrong").status_code == 401
    assert token(speech, session, body=b"please").status_code == 400


def test_a_revoked_token_does_not_come_back_with_a_new_one() -> None:
    tokens = Tokens(lifetime_seconds=60.0)
    revoked = tokens.issue()
    tokens.revoke()
    assert (tokens.is_valid(tokens.issue()), tokens.is_valid(revoked)) == (True, False)
