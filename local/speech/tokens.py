"""The tokens that the endpoint issues for its key: opaque texts that look like JWTs and expire."""

import base64
import json
import secrets
import threading
import time

LIFETIME_SECONDS = 600.0  # as the service documents


class Tokens:
    """All tokens that one endpoint has issued."""

    def __init__(self, lifetime_seconds: float) -> None:
        self._lifetime_seconds = lifetime_seconds
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self) -> str:
        token = ".".join((_part({"alg": "HS256", "typ": "JWT"}), _part({"region": "local"}), secrets.token_urlsafe(32)))
        with self._lock:
            self._expiry[token] = time.monotonic() + self._lifetime_seconds
        return token

    def is_valid(self, token: str) -> bool:
        with self._lock:
            return time.monotonic() < self._expiry.get(token, 0.0)

    def revoke(self) -> None:
        """Make all issued tokens invalid."""
        with self._lock:
            self._expiry.clear()


def _part(content: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
