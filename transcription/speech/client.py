"""One clip → one answer: the protocol of the Speech to text REST API for short audio.

https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short. Knows nothing of storage, of
recordings or of other clips. Every try builds its body anew and is made in here: no layer below retries.
"""

import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Timeout

from transcription.clock import Budget, Clock
from transcription.errors import Misconfigured, RequestRefused, Retryable
from transcription.settings.app import SpeechSettings
from transcription.speech import answers, pronunciation
from transcription.speech.answers import Answer
from transcription.speech.concurrency import FairLimiter
from transcription.speech.credentials import KEY_HEADER, Credential, Key, Token
from transcription.speech.encoding import Encoded
from transcription.speech.retries import retry_within
from transcription.speech.transport import Transport, in_chunks
from transcription.transcript.model import Usage

CONNECT_SECONDS = 10.0  # to connect, and for the peer to take a chunk
SILENT_SECONDS = 90.0  # without a byte of the answer: the service takes less than a minute for a minute of audio
LONGEST_EXCHANGE = 180.0  # seconds until an answer is whole
TOKEN_EXCHANGE = 15.0  # seconds: it is a small thing, and others wait for it
READ_BYTES = 64 * 1024
LONGEST_ANSWER = 4 << 20  # bytes; a minute of speech with word times takes some ten thousand
QUOTED = 300  # characters of an error's body that a message repeats


@dataclass(frozen=True)
class RecognitionOptions:
    """What one recording asks of the service. `pronunciation` holds the parameters of an assessment."""

    language: str
    profanity: str
    pronunciation: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Reply:
    """`body` is free of what proved who we are; of a redirect, it is where to."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SpeechClient:
    """The endpoint, for all recordings and threads of the process."""

    def __init__(self, settings: SpeechSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._limiter = FairLimiter(settings.max_concurrent_requests)
        self._transport = Transport(settings.max_concurrent_requests)
        self._credential: Credential = (
            Token(self._fetch_token, clock) if settings.auth == "token" else Key(settings.key)
        )

    @property
    def endpoint(self) -> str:
        return self._settings.endpoint.base

    def recognize(self, audio: Encoded, options: RecognitionOptions, usage: Usage, budget: Budget) -> Answer:
        """Streams `audio`, trying again while that may help.

        Errors: RequestRefused, Misconfigured, Exhausted (the budget is gone).
        """

        def attempt() -> Answer:
            budget.check()
            auth_headers = self._credential.headers()
            with self._limiter.place(usage, budget):
                budget.check()
                return self._ask(audio, options, auth_headers, usage, budget)

        answer = retry_within(budget, attempt)
        usage.answered()
        return answer

    def _ask(
        self, audio: Encoded, options: RecognitionOptions, auth_headers: dict[str, str], usage: Usage, budget: Budget
    ) -> Answer:
        """One try, and with a refused token a second one with a new token."""
        reply = self._send(audio, options, auth_headers, usage, budget)
        if reply.status == 401 and self._credential.renew(auth_headers):
            reply = self._send(audio, options, self._credential.headers(), usage, budget)
        self._raise_for(reply)
        return answers.parse(reply.body)

    def _send(
        self, audio: Encoded, options: RecognitionOptions, auth_headers: dict[str, str], usage: Usage, budget: Budget
    ) -> _Reply:
        connection_id = uuid.uuid4().hex
        usage.sent(connection_id, audio.seconds)
        headers = {
            "Content-Type": audio.content_type,
            "Accept": "application/json",
            "Expect": "100-continue",
            **auth_headers,
        }
        if options.pronunciation:
            headers[pronunciation.HEADER] = pronunciation.header(options.pronunciation)
        body = in_chunks(audio.header, audio.body)
        seconds = min(LONGEST_EXCHANGE, budget.left())
        url, query = self._settings.endpoint.recognition_url, self._query(options, connection_id)
        return self._post(url, headers, query, body, seconds)

    def _query(self, options: RecognitionOptions, connection_id: str) -> list[tuple[str, str]]:
        settings = self._settings
        detailed = settings.detailed or options.pronunciation is not None  # simple answers have no scores
        query = [
            ("language", options.language),
            ("format", "detailed" if detailed else "simple"),
            ("profanity", options.profanity),
            ("X-ConnectionId", connection_id),
        ]
        if detailed and settings.word_times:
            query.append(("wordLevelTimestamps", "true"))
        if settings.model_id:
            query.append(("cid", settings.model_id))
        return [*query, *settings.extra_query]

    def _fetch_token(self) -> str:
        url = self._settings.endpoint.token_url
        reply = self._post(url, {KEY_HEADER: self._settings.key}, [], b"", TOKEN_EXCHANGE)
        said = f"{url} answered {reply.status}: {_quoted(reply.body)}"
        if _may_pass(reply.status):
            raise Retryable(said, _retry_after(reply.headers, self._clock))
        if reply.status != 200:
            raise Misconfigured(f"The key was refused. {said}. {_CHECK_KEY}")
        token = reply.body.strip()
        if not re.fullmatch(rb"[\x21-\x7e]+", token):
            raise Retryable(f"{url} answered with something that is no token")
        return token.decode()

    def _post(
        self,
        url: str,
        headers: dict[str, str],
        query: list[tuple[str, str]],
        body: Iterable[bytes] | bytes,
        seconds: float,
    ) -> _Reply:
        """Retryable: the network failed, or the answer is not whole after so many `seconds`.

        The network's errors hold the request, and so the key: only their reason goes on.
        """
        ends = time.monotonic() + seconds
        connect, silent = (max(0.1, min(limit, seconds)) for limit in (CONNECT_SECONDS, SILENT_SECONDS))
        try:
            with self._transport.post(url, query, headers, body, Timeout(connect=connect, read=silent)) as response:
                redirect = 300 <= response.status < 400
                content = response.headers.get("Location", "").encode() if redirect else _whole(response, ends)
                return _Reply(response.status, response.headers, _without_secrets(content, headers))
        except SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message = f"The certificate of {self.endpoint} is not trusted: check AZURE_SPEECH_ENDPOINT."
                raise Misconfigured(message) from None
            raise Retryable(_reason(error, headers)) from None
        except HTTPError as error:
            raise Retryable(_reason(error, headers)) from None

    def _raise_for(self, reply: _Reply) -> None:
        """Sorts every answer but a 200 into what may pass, what the deployer must put right, and what is final."""
        status = reply.status
        if status == 200:
            return
        said = f"{self.endpoint} answered {status}: {_quoted(reply.body)}"
        if _may_pass(status):
            raise Retryable(said, _retry_after(reply.headers, self._clock))
        if status in (401, 403):
            raise Misconfigured(f"The {self._settings.auth} was refused. {said}. {_CHECK_KEY}")
        if 300 <= status < 400:
            said = f"{self.endpoint} answered {status}, to go to {_quoted(reply.body)}"
        if status == 404 or 300 <= status < 400:
            raise Misconfigured(f"The Speech service is not at this address. {said}. Check AZURE_SPEECH_ENDPOINT.")
        raise RequestRefused(f"The service refused the audio or its options. {said}.")


_CHECK_KEY = "Check AZURE_SPEECH_KEY, and that it belongs to this region or endpoint."


def _may_pass(status: int) -> bool:
    """Whether another try may be answered otherwise. A success other than 200 is no answer at all."""
    return status in (408, 429) or status >= 500 or 200 < status < 300


def _whole(response: BaseHTTPResponse, ends: float) -> bytes:
    """The whole body, however it is cut into chunks. Retryable: it is not there in time, or has no end.

    Read as it comes, because a peer that drips would never let a larger read return.
    """
    content = bytearray()
    while piece := response.read1(READ_BYTES, decode_content=True):
        content += piece
        if len(content) > LONGEST_ANSWER:
            raise Retryable(f"the answer goes on after {LONGEST_ANSWER} bytes")
        if time.monotonic() > ends:
            raise Retryable("the answer came too slowly")
    return bytes(content)


def _quoted(body: bytes) -> str:
    """An error's own words, short and on one line."""
    text = body[: 4 * QUOTED].decode("utf-8", "replace")
    try:
        error = json.loads(body).get("error", {})
        text = error.get("message") or text
    except (ValueError, AttributeError, RecursionError):
        pass  # text or empty: both happen
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(printable.split())[:QUOTED].rstrip(".") or "(no explanation)"


def _without_secrets(content: bytes, headers: dict[str, str]) -> bytes:
    """An answer that repeats our key or token must not carry it into a log."""
    for name in (KEY_HEADER, "Authorization"):
        if secret := headers.get(name, "").removeprefix("Bearer "):
            content = re.sub(re.escape(secret.encode()), b"***", content, flags=re.IGNORECASE)
    return content


def _retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Seconds to wait if the answer names a time ahead, as seconds or as a date; None for anything else."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9]) or None
    try:
        moment = parsedate_to_datetime(value)
        ahead = (moment - clock.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no date, or one without a time zone, or beyond all calendars
        return None
    return ahead if ahead > 0 else None


def _reason(error: BaseException, headers: dict[str, str]) -> str:
    """The innermost cause in words: `ConnectionResetError: Connection reset by peer`. It may repeat a line of the
    answer, in which the request's `headers` may be repeated.
    """
    while inner := (error.__cause__ or error.__context__ or next(iter(_nested(error)), None)):
        error = inner
    detail = str(getattr(error, "strerror", None) or error).encode(errors="replace")
    text = _without_secrets(detail, headers).decode()
    return f"no answer from the Speech service ({type(error).__name__}: {text:.200})"


def _nested(error: BaseException) -> list[BaseException]:
    """urllib3 wraps errors as arguments and as `reason`."""
    return [inner for inner in (*error.args, getattr(error, "reason", None)) if isinstance(inner, BaseException)]
