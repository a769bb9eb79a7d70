"""Secrets that the app uses and that must appear in no log, document or exception."""

import base64
import html
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock
from urllib.parse import quote, quote_plus, unquote

from local.speech.tokens import Tokens
from tests.support.secrets import BREAKS
from tests.support.settings import app_settings
from transcription.settings.app import log_wrong_settings

SPEECH_KEY = "ca11ab1ecafe4b1d0ddba11c0ffee5ec"  # 32 hex digits, like the service's own keys
SHORTEST_PART = 16  # characters; shorter ones are in other texts by chance
SETTINGS = (
    *("AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "AZURE_SPEECH_ENDPOINT", "AZURE_SPEECH_ENDPOINT_ID"),
    *("AZURE_SPEECH_QUERY", "AZURE_SPEECH_AUTH", "AudioStorage", "AudioStorage__blobServiceUri"),
    *("AudioStorage__queueServiceUri", "AUDIO_CONTAINER", "WORK_CONTAINER", "SWEEP_SCHEDULE", "SWEEP_DAYS"),
    *("SPEECH_LANGUAGE", "SPEECH_FORMAT", "SPEECH_MAX_CONCURRENT_REQUESTS", "MAX_AUDIO_MINUTES", "TRANSCRIPT_FORMATS"),
)


class Canaries(logging.Handler):
    """Searches every log line, and every text given to `search`, for secrets. `found` lists the leaks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.searched = 0
        self.found: list[str] = []
        self._descriptions: dict[str, str] = {}  # a form of a secret → what the secret is
        self._lock = threading.Lock()

    def add(self, secret: str, description: str) -> str:
        """Search for this secret from now on: as it is, in parts and in the usual encodings. Return the secret."""
        url_encoded = quote(secret), quote(secret, safe=""), quote_plus(secret)  # a slash may stay as it is
        forms = (secret, *url_encoded, base64.b64encode(secret.encode()).decode(), secret.encode().hex())
        halves = secret[: len(secret) // 2], secret[len(secret) // 2 :]
        for form in (*forms, *(half for half in halves if len(half) >= SHORTEST_PART)):
            self._descriptions = {**self._descriptions, _plain(form): description}
        return secret

    def search(self, text: str, place: str) -> None:
        with self._lock:
            self.searched += 1
            readings = {_plain(text), _plain(_decoded(text))}
            for form, description in self._descriptions.items():
                if any(form in reading for reading in readings):
                    self.found.append(f"{description} in {place}")

    def emit(self, record: logging.LogRecord) -> None:
        self.search(self.format(record), f"the log of {record.name}")

    def break_settings(self, secret: str) -> None:
        """Log what is wrong with each setting when the secret is pasted into it in each way."""
        for name in SETTINGS:
            for paste in BREAKS.values():
                log_wrong_settings(app_settings(**{name: paste(secret)}))

    @contextmanager
    def watching(self) -> Iterator["Canaries"]:
        """Search the logs as a host receives them, and the app's own at DEBUG too. Treat every token as a secret."""
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


def _plain(text: str) -> str:
    """Return the letters and digits only: a text with NULs or spaces between its characters is read all the same."""
    return re.sub("[^a-z0-9]", "", text.casefold())


def _decoded(text: str) -> str:
    unescaped = re.sub(r"\\+(?:u00|x)([0-9a-fA-F]{2})", lambda code: chr(int(code[1], 16)), text)
    return html.unescape(unquote(unescaped))
