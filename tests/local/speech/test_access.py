"""A request needs the key, a token issued for it, or the token of an identity with the right role."""

import pytest

from local.speech.access import Access, Entra
from local.speech.checks import Refusal

ENTRA = Entra("/subscriptions/1/accounts/a", "e.y.j")
KEY = {"ocp-apim-subscription-key": "right"}


def status(access: Access, headers: dict[str, str], *, tokens: bool = True) -> int:
    try:
        access.check(headers, tokens=tokens)
    except Refusal as refusal:
        return refusal.status
    return 200


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_the_key_is_enough_and_a_wrong_one_is_refused() -> None:
    access = Access("right", 600, None)
    assert status(access, KEY) == 200
    assert status(access, {"ocp-apim-subscription-key": "wrong"}) == 401
    assert status(access, {}) == 403


def test_a_token_is_enough_for_a_recognition_but_not_for_another_token() -> None:
    access = Access("right", 600, None)
    token = access.issue_token()
    assert status(access, bearer(token)) == 200
    assert status(access, bearer(token), tokens=False) == 403
    access.revoke_tokens()
    assert status(access, bearer(token)) == 401


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("aad#/subscriptions/1/accounts/a#e.y.j", 200),
        ("aad#/subscriptions/1/accounts/b#e.y.j", 401),
        ("aad#/subscriptions/1/accounts/a#other", 401),
        ("aad#e.y.j", 401),
        ("e.y.j", 401),
    ],
)
def test_an_identity_needs_the_resources_id_and_its_token(token: str, expected: int) -> None:
    assert status(Access("right", 600, ENTRA), bearer(token)) == expected


def test_a_resource_without_keys_accepts_an_identity_only() -> None:
    access = Access(None, 600, ENTRA)
    assert status(access, KEY) == 403
    assert status(access, bearer("aad#/subscriptions/1/accounts/a#e.y.j")) == 200


def test_without_an_identity_no_entra_token_is_accepted() -> None:
    assert status(Access("right", 600, None), bearer("aad#/subscriptions/1/accounts/a#e.y.j")) == 401
