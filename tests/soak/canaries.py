"""Secrets that the app uses and that must appear in no log, document or exception."""

import base64
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock
from urllib.parse import quote, quote_plus

from local.speech.tokens import Tokens

SPEECH_KEY = "ca11ab1ecafe4b1d0ddba11c0ffee5ec"  # 32 hex digits, like the service's own keys


class Canaries(logging.Handler):
    """Searches every log line, and every text given to `search`, for secrets. `found` lists the leaks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.searched = 0
        self.found: list[str] = []
        self._descriptions: dict[str, str] = {}  # a form of a secret → what the secret is
        self._lock = threading.Lock()

    def add(self, secret: str, description: str) -> str:
        """Search for this secret from now on: as it is, URL-encoded and in base64. Return the secret."""
        url_encoded = quote(secret), quote(secret, safe=""), quote_plus(secret)  # a slash may stay as it is
        for form in (secret, *url_encoded, base64.b64encode(secret.encode()).decode()):
            self._descriptions = {**self._descriptions, form.rstrip("=").lower(): description}
        return secret

    def search(self, text: str, place: str) -> None:
        """Search a text. Case does not count: a peer may change it."""
        lower = text.lower()
        with self._lock:
            self.searched += 1
            leaks = (description for form, description in self._descriptions.items() if form in lower)
            self.found += [f"{description} in {place}" for description in leaks]

    def emit(self, record: logging.LogRecord) -> None:
        self.search(self.format(record), f"the log of {record.name}")

    @contextmanager
    def watching(self) -> Iterator["Canaries"]:
        """Search the logs as a host receives them, the app's own also at DEBUG, and treat every token as a secret."""
        root_logger, app_logger, issue = logging.getLogger(), logging.getLogger("transcription"), Tokens.issue
        level = root_logger.level
        root_logger.setLevel(logging.INFO)
        app_logger.setLevel(logging.DEBUG)
        root_logger.addHandler(self)
        try:
            with mock.patch.object(Tokens, "issue", lambda tokens: self.add(issue(tokens), "a token")):
                yield self
        finally:
            root_logger.removeHandler(self)
            root_logger.setLevel(level)
            app_logger.setLevel(logging.NOTSET)
