"""Secrets that are used everywhere and must be found nowhere: in no log, document or exception."""

import base64
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock
from urllib.parse import quote, quote_plus

from local.speech.tokens import Tokens

SPEECH_KEY = "ca11ab1ecafe4b1d0ddba11c0ffee5ec"  # 32 hex digits, as the service's own keys


class Canaries(logging.Handler):
    """Looks at everything it is shown, and at every line that anybody logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.searched = 0
        self.found: list[str] = []
        self._forms: dict[str, str] = {}
        self._search = threading.Lock()

    def add(self, secret: str, what: str) -> str:
        """Looked for from now on, also as it is written in URLs, and in base64."""
        in_urls = quote(secret), quote(secret, safe=""), quote_plus(secret)  # a slash may stay as it is
        for form in (secret, *in_urls, base64.b64encode(secret.encode()).decode()):
            self._forms = {**self._forms, form.rstrip("="): what}
        return secret

    def look(self, text: str, where: str) -> None:
        with self._search:
            self.searched += 1
            self.found += [f"{what} in {where}" for form, what in self._forms.items() if form in text]

    def emit(self, record: logging.LogRecord) -> None:
        self.look(self.format(record), f"the log of {record.name}")

    @contextmanager
    def watching(self) -> Iterator["Canaries"]:
        """All logs, as a host takes them: INFO, and of the app's own everything. And every token that is issued."""
        root, ours, issue = logging.getLogger(), logging.getLogger("transcription"), Tokens.issue
        before = root.level
        root.setLevel(logging.INFO)
        ours.setLevel(logging.DEBUG)
        root.addHandler(self)
        try:
            with mock.patch.object(Tokens, "issue", lambda tokens: self.add(issue(tokens), "a token")):
                yield self
        finally:
            root.removeHandler(self)
            root.setLevel(before)
            ours.setLevel(logging.NOTSET)
