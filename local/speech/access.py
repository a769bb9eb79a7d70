"""Checks who sends a request: with the key, with a token that was issued for the key, or with an identity."""

from collections.abc import Mapping
from dataclasses import dataclass

from local.speech.behaviour import UNAUTHORIZED
from local.speech.checks import Refusal
from local.speech.tokens import Tokens

NO_AUTHORIZATION = "Forbidden: neither a subscription key nor a token was sent"
KEYS_DISABLED = "Key based authentication is disabled for this resource."
NO_PERMISSION = "Principal does not have access to API/Operation."


@dataclass(frozen=True)
class Entra:
    """The Speech resource's id, and the token of an identity with the right role."""

    resource_id: str
    token: str


class Access:
    """The credentials of one Speech resource. Without a `key`, its key authentication is disabled."""

    def __init__(self, key: str | None, token_seconds: float, entra: Entra | None) -> None:
        self._key = key
        self._entra = entra
        self._tokens = Tokens(token_seconds)

    def issue_token(self) -> str:
        return self._tokens.issue()

    def revoke_tokens(self) -> None:
        """Refuse all tokens issued so far."""
        self._tokens.revoke()

    def check(self, headers: Mapping[str, str], *, tokens: bool) -> None:
        """Check the authorisation of a request. `tokens` tells whether a token is enough.

        Raises Refusal if anything is wrong.
        """
        key, authorization = headers.get("ocp-apim-subscription-key"), headers.get("authorization")
        if key is None and not (tokens and authorization):
            raise Refusal(403, NO_AUTHORIZATION)
        if key is not None and self._key is None:
            raise Refusal(403, KEYS_DISABLED)
        if key is not None and key != self._key:
            raise Refusal(401, UNAUTHORIZED, kind="key")
        if tokens and authorization is not None:
            self._check_token(authorization)

    def _check_token(self, authorization: str) -> None:
        scheme, _, token = authorization.partition(" ")
        kind, *parts = token.split("#")
        if scheme == "Bearer" and kind == "aad":
            entra = self._entra
            if entra is None or parts != [entra.resource_id, entra.token]:
                raise Refusal(401, NO_PERMISSION)
        elif scheme != "Bearer" or not self._tokens.is_valid(token):
            raise Refusal(401, UNAUTHORIZED, kind="key")
