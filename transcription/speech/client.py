"""One clip → one answer, through the Speech to text REST API for short audio.

https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short

The client knows nothing of storage, recordings or other clips. Each try has a new request body: no layer below retries.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import requests

from transcription.clock import Clock
from transcription.errors import Misconfigured, Retryable
from transcription.settings.endpoint import TOKEN_PATH, origin
from transcription.settings.speech import IDENTITY, TOKEN, SpeechSettings
from transcription.speech import pronunciation
from transcription.speech.credentials import KEY_HEADER, Credential, Identity, Key, Token, entra_credential
from transcription.speech.dispatcher import Dispatcher
from transcription.speech.encoding import Encoded
from transcription.speech.exchanges import ExchangeFailed
from transcription.speech.failures import explanation, network_reason, refuse_secrets, retry_after, secrets_of
from transcription.speech.refusals import Asked, Refusal, recognition_error, token_error
from transcription.speech.transport import Transport, in_chunks

CONNECT_SECONDS = 10.0  # to connect, and for the peer to accept each chunk
SILENT_SECONDS = 90.0  # without a byte of the answer; the service takes less than a minute for a minute of audio
MAX_EXCHANGE_SECONDS = 180.0  # seconds from the request to the end of the answer
TOKEN_EXCHANGE = 15.0  # seconds; a token is small, and other threads wait for it


@dataclass(frozen=True)
class RecognitionOptions:
    """The options of one recording.

    pronunciation: the parameters of an assessment, if it requests one.
    language_from_upload: the upload named the language, rather than a setting.
    """

    language: str
    profanity: str
    pronunciation: Mapping[str, str] | None = None
    language_from_upload: bool = False


@dataclass(frozen=True)
class _Reply:
    """A whole HTTP answer. `explanation` is what an answer other than 200 says, without our secrets."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    explanation: str


def headers_of(options: RecognitionOptions) -> dict[str, str]:
    """Return the headers of a recognition, except for its content type and those that authenticate it."""
    headers = {"Accept": "application/json", "Expect": "100-continue"}
    if options.pronunciation:
        headers[pronunciation.HEADER] = pronunciation.header(options.pronunciation)
    return headers


def query_of(settings: SpeechSettings, options: RecognitionOptions, connection_id: str) -> list[tuple[str, str]]:
    """Return the query of a recognition."""
    detailed = settings.detailed or options.pronunciation is not None  # simple answers have no scores
    query = [
        ("language", options.language),
        ("format", "detailed" if detailed else "simple"),
        ("profanity", options.profanity),
        ("X-ConnectionId", connection_id),
    ]
    if detailed and settings.word_times:
        query.append(("wordLevelTimestamps", "true"))
    if model_id := settings.models.id_for(options.language):
        query.append(("cid", model_id))
    return [*query, *settings.extra_query]


class SpeechClient:
    """The Speech endpoint, shared by all recordings and threads of the process."""

    def __init__(self, settings: SpeechSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.dispatcher = Dispatcher(settings.max_concurrent_requests, clock)
        self._transport = Transport(settings.max_concurrent_requests)
        self._answered: set[tuple[str, str | None]] = set()  # languages and models that the service accepts
        self._credential = self._credential_of(settings)

    def _credential_of(self, settings: SpeechSettings) -> Credential:
        if settings.auth == IDENTITY:
            return Identity(settings.resource_id, entra_credential(settings.client_id))
        return Token(self._fetch_token, self._clock) if settings.auth == TOKEN else Key(settings.key)

    @property
    def endpoint(self) -> str:
        return self._settings.endpoint.base

    def recognize(
        self, audio: Encoded, options: RecognitionOptions, note_try: Callable[[str], None], seconds: float
    ) -> bytes:
        """Stream one clip to the service once, and return the JSON of its answer. Takes at most `seconds`.

        `note_try` is called with each request's connection id. After a refused token, there is a second request.
        Raises Refused if the service has no room, and Retryable if another try may help.
        Raises RequestRefused or UnknownLanguage if the service refuses the audio, its options or the upload's language.
        Raises Misconfigured if the key, the model, the default language, the endpoint or its certificate is wrong.
        """
        auth_headers = self._credential.headers()
        reply = self._send(audio, options, auth_headers, note_try, seconds)
        if reply.status == 401 and self._credential.renew(auth_headers):
            reply = self._send(audio, options, self._credential.headers(), note_try, seconds)
        asked = options.language, self._settings.models.id_for(options.language)
        if reply.status != 200:
            refused = Asked(*asked, options.language_from_upload, asked in self._answered)
            raise recognition_error(self._refusal(reply), self._settings, refused)
        self._answered.add(asked)
        return reply.body

    def authorization(self) -> dict[str, str]:
        """Return the headers that authenticate a request.

        Raises Retryable or Misconfigured if they have to be fetched and the fetch fails.
        """
        return self._credential.headers()

    def fingerprint(self, options: RecognitionOptions) -> str:
        """Return a digest of all that can change an answer: query and headers, without credentials and ids."""
        request = [self._settings.audio_format, query_of(self._settings, options, ""), headers_of(options)]
        return hashlib.sha256(json.dumps(request).encode()).hexdigest()

    def _send(
        self,
        audio: Encoded,
        options: RecognitionOptions,
        auth_headers: dict[str, str],
        note_try: Callable[[str], None],
        seconds: float,
    ) -> _Reply:
        connection_id = uuid.uuid4().hex
        note_try(connection_id)
        headers = {"Content-Type": audio.content_type, **headers_of(options), **auth_headers}
        body = in_chunks(audio.header, audio.body)
        url, query = self._settings.endpoint.recognition_url, query_of(self._settings, options, connection_id)
        return self._post(url, headers, query, body, min(MAX_EXCHANGE_SECONDS, max(0.1, seconds)))

    def _fetch_token(self) -> str:
        url = self._settings.endpoint.token_url
        reply = self._post(url, {KEY_HEADER: self._settings.key}, [], b"", TOKEN_EXCHANGE)
        if reply.status != 200:
            raise token_error(self._refusal(reply), url)
        token = reply.body.strip()
        if not re.fullmatch(rb"[\x21-\x7e]+", token):
            raise Retryable(f"{origin(url)}{TOKEN_PATH} answered with something other than a token")
        return token.decode()

    def _post(
        self,
        url: str,
        headers: dict[str, str],
        query: list[tuple[str, str]],
        body: Iterable[bytes] | bytes,
        seconds: float,
    ) -> _Reply:
        """Send one request and return the whole reply, without our secrets.

        Raises Retryable if the network fails, or if the exchange takes longer than `seconds`.
        Raises Misconfigured if the certificate is not trusted, or if nothing can be sent to this address.
        Network errors hold the request, and so the key. Only their reason is passed on.
        """
        secrets = secrets_of(self._settings, headers)
        timeout = (max(0.1, min(CONNECT_SECONDS, seconds)), max(0.1, min(SILENT_SECONDS, seconds)))
        try:
            reply = self._transport.post(url, query, headers, body, timeout, seconds)
        except ExchangeFailed as error:
            raise Retryable(str(error)) from None
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message = f"The certificate of {self.endpoint} is not trusted. Check AZURE_SPEECH_ENDPOINT."
                raise Misconfigured(message) from None
            raise Retryable(network_reason(error, secrets)) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise Misconfigured(
                f"No request can be made to {origin(url)}. Check the endpoint, or this machine's proxy settings"
                f" ({type(error).__name__})."
            ) from None
        except requests.RequestException as error:
            raise Retryable(network_reason(error, secrets)) from None
        if reply.status == 200:
            refuse_secrets(reply.body, secrets)
            return _Reply(200, reply.headers, reply.body, "")
        content = reply.headers.get("Location", "").encode() if 300 <= reply.status < 400 else reply.body
        return _Reply(reply.status, reply.headers, content, explanation(content, secrets))

    def _refusal(self, reply: _Reply) -> Refusal:
        return Refusal(reply.status, reply.explanation, retry_after(reply.headers, self._clock))
