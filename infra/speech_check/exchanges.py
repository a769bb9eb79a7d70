"""Sends requests in the form that the app sends them, and keeps what was exchanged, without secrets."""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from transcription.clock import Clock
from transcription.errors import Misconfigured, Retryable
from transcription.settings.secrets import Secrets
from transcription.settings.speech import SpeechSettings
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient, headers_of, query_of
from transcription.speech.credentials import KEY_HEADER
from transcription.speech.encoding import Encoded
from transcription.speech.exchanges import ExchangeFailed
from transcription.speech.failures import explanation, network_reason, retry_after, secrets_of
from transcription.speech.refusals import NO_ROOM
from transcription.speech.transport import Transport, in_chunks

TIMEOUT = (10.0, 90.0)  # seconds to connect, and without a byte of the answer
EXCHANGE_SECONDS = 120.0
MOST_AT_ONCE = 8
WAIT_SECONDS = 5.0  # after a refusal for lack of room that names no time
MOST_WAIT = 60.0
TRIES = 3  # of a request that the service has no room for
WRONG_KEY = "0" * 32
KEPT_HEADERS = ("content-type", "date", "retry-after", "x-requestid", "apim-request-id")


@dataclass(frozen=True)
class Request:
    """A request. `settings` and `options` shape it as the app does; `query` adds parameters."""

    name: str
    audio: Encoded
    settings: SpeechSettings = field(repr=False)
    options: RecognitionOptions
    query: tuple[tuple[str, str], ...] = ()
    wrong_key: bool = False


@dataclass(frozen=True)
class Exchange:
    """A request and what came of it. `status` is 0 if there was no answer; then `failure` says why."""

    request: Request
    secrets: Secrets = field(repr=False)
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: Exception | None = None
    seconds: float = 0.0

    @property
    def answer(self) -> Answer | None:
        """Return the answer as the app reads it, or None if there is none that it could use."""
        if self.status != 200:
            return None
        try:
            return answers.parse(self.body)
        except Retryable:
            return None

    @property
    def text(self) -> str:
        answer = self.answer
        return self.secrets.quotable(answer.phrase.text) if answer and answer.phrase else ""

    @property
    def content(self) -> dict[str, Any]:
        """Return the JSON of the answer, or nothing if it has another form."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def explanation(self) -> str:
        """Return what an error says, or why there is no answer."""
        if self.failure is None:
            return explanation(self.body, self.secrets)
        if isinstance(self.failure, requests.RequestException):
            return network_reason(self.failure, self.secrets)
        return self.secrets.quotable(str(self.failure))

    @property
    def error(self) -> str:
        """Return the status and the body, as the table of the stand-in writes an error."""
        return f"{self.status} {self.secrets.quotable(self.body.decode('utf-8', 'replace'))}"

    def as_json(self) -> dict[str, Any]:
        """Return what was exchanged, without what authenticates it, names a model or may be a code."""
        request = self.request
        sent = query_of(request.settings, request.options, "")
        private = {"cid", *(name for name, _ in request.settings.extra_query)}
        query = {name: "(not shown)" if name in private else value for name, value in [*sent, *request.query]}
        return {
            "name": request.name,
            "contentType": request.audio.content_type,
            "audioSeconds": round(request.audio.seconds, 3),
            "query": {name: value for name, value in query.items() if name != "X-ConnectionId"},
            "status": self.status,
            "headers": {name: value for name, value in self.headers.items() if name.lower() in KEPT_HEADERS},
            "body": self.secrets.quotable(self.body.decode("utf-8", "replace")),
            "failure": self.explanation if self.failure else None,
            "seconds": round(self.seconds, 3),
        }


class Sender:
    """Sends requests to one resource, and keeps all exchanges."""

    def __init__(self, settings: SpeechSettings, clock: Clock) -> None:
        """Open no connection yet. Raises Misconfigured if the file of certificate authorities does not exist."""
        self.exchanges: list[Exchange] = []
        self._clock = clock
        self._client = SpeechClient(settings, clock)
        self._transport = Transport(MOST_AT_ONCE)

    def send(self, request: Request) -> Exchange:
        """Send the request, again if the service has no room for it at first."""
        exchange = self._try(request)
        for _ in range(TRIES - 1):
            if exchange.status not in NO_ROOM:
                break
            asked = retry_after(exchange.headers, self._clock)
            time.sleep(min(MOST_WAIT, WAIT_SECONDS if asked is None else asked))
            exchange = self._try(request)
        self.exchanges.append(exchange)
        return exchange

    def send_at_once(self, wanted: Sequence[Request]) -> list[Exchange]:
        """Send all requests at the same time, each once."""
        with ThreadPoolExecutor(len(wanted)) as pool:
            exchanges = list(pool.map(self._try, wanted))
        self.exchanges += exchanges
        return exchanges

    def _try(self, request: Request) -> Exchange:
        settings, audio = request.settings, request.audio
        started = time.monotonic()
        secrets = secrets_of(settings, {})
        try:
            auth = {KEY_HEADER: WRONG_KEY} if request.wrong_key else self._client.authorization()
            secrets = secrets_of(settings, auth)
            reply = self._transport.post(
                settings.endpoint.recognition_url,
                [*query_of(settings, request.options, uuid.uuid4().hex), *request.query],
                {"Content-Type": audio.content_type, **headers_of(request.options), **auth},
                in_chunks(audio.header, audio.body),
                TIMEOUT,
                EXCHANGE_SECONDS,
            )
        except (requests.RequestException, ExchangeFailed, Misconfigured, Retryable) as failure:
            return Exchange(request, secrets, failure=failure, seconds=time.monotonic() - started)
        took = time.monotonic() - started
        return Exchange(request, secrets, reply.status, reply.headers, reply.body, seconds=took)
