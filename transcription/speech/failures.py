"""Turns failed requests into reasons that can be logged, without secrets, and tells when a retry makes sense."""

import json
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from transcription.clock import Clock
from transcription.errors import Retryable
from transcription.settings.endpoint import RECOGNITION_PATH
from transcription.settings.secrets import Secrets
from transcription.settings.speech import SpeechSettings

QUOTED = 300  # characters of an error's body that a message repeats
QUOTED_OF_CAUSE = 200  # characters of a network error's own text
SEARCHED = 500_000  # characters of a successful answer's texts; a minute of speech has some ten thousand


def is_retryable(status: int) -> bool:
    """Tell whether another try may get a better answer. A success other than 200 holds no answer at all."""
    return status in (408, 429) or status >= 500 or 200 < status < 300


def retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """Return the seconds to wait if the answer names a time ahead, as seconds or as a date; else None."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9]) or None
    try:
        date = parsedate_to_datetime(value)
        seconds = (date - clock.now()).total_seconds()
    except (ValueError, TypeError, OverflowError):  # not a date, or without a time zone, or too far away
        return None
    return seconds if seconds > 0 else None


def secrets_of(settings: SpeechSettings, request_headers: Mapping[str, str]) -> Secrets:
    """Return what no message about this request may repeat.

    These are the key, the token, the subscription in the resource's id, the settings that are sent as a query, and a
    gateway's path, which may hold a code.
    """
    path = urlsplit(settings.endpoint.recognition_url).path.removesuffix(RECOGNITION_PATH).removesuffix("/stt")
    token = request_headers.get("Authorization", "").removeprefix("Bearer ")
    query = [value for _, value in settings.extra_query]
    subscription = "".join(settings.resource_id.split("/")[2:3])
    *_, token = token.split("#")  # an identity's follows the resource's id
    return Secrets([settings.key, subscription, token, *settings.models.ids, path.strip("/"), *query])


def explanation(body: bytes, secrets: Secrets) -> str:
    """Return what the body of an error says, short and on one line, unless it repeats a secret."""
    text = body[: 4 * QUOTED].replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16 has a NUL in each character
    try:
        said = _said(json.loads(body))
    except (ValueError, RecursionError):
        said = None  # some errors are plain text, some are empty
    return _quoted(said or text, QUOTED, secrets).rstrip(".") or "(no explanation)"


def _said(error: Any) -> str | None:
    """Return the message in the JSON of an error, or its code, or None.

    The service itself writes `Message`, its newer APIs `message` and `code`, and gateways an object `error` with both.
    """
    if not isinstance(error, dict):
        return None
    inner = error.get("error")
    levels = [inner, error] if isinstance(inner, dict) else [error]
    texts = [level.get(name) for name in ("message", "Message", "code") for level in levels]
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def refuse_secrets(content: bytes, secrets: Secrets) -> None:
    """Check a successful answer, whose words go into the document.

    Raises Retryable if its texts repeat a secret, or are too long to be searched.
    """
    try:
        texts = " ".join(dict.fromkeys(_texts(json.loads(content))))
    except (ValueError, RecursionError):
        return  # nothing is shown of what is not JSON
    if len(texts) > SEARCHED:
        raise Retryable(f"the service's answer could not be read ({len(content)} bytes)")
    if secrets.repeated_in_speech(texts):
        raise Retryable("the service's answer repeats the key")


def network_reason(error: BaseException, secrets: Secrets) -> str:
    """Return the innermost cause in words, such as `ConnectionResetError: Connection reset by peer`.

    The cause may quote a line of the answer or the URL, which may repeat a secret.
    """
    while inner := (error.__cause__ or error.__context__ or next(iter(_nested(error)), None)):
        error = inner
    text = _quoted(str(getattr(error, "strerror", None) or error), QUOTED_OF_CAUSE, secrets)
    return f"no answer from the Speech service ({type(error).__name__}: {text})"


def _quoted(text: str, length: int, secrets: Secrets) -> str:
    """Return the beginning of the text on one line, without queries, or a note if it repeats a secret.

    More is searched than is shown. A secret that is cut off at the end of what is shown is found too.
    """
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * length])
    return secrets.quotable(" ".join(printable.split()))[:length]


def _nested(error: BaseException) -> list[BaseException]:
    """Return the errors that urllib3 wrapped in this one, as arguments or as `reason`."""
    return [inner for inner in (*error.args, getattr(error, "reason", None)) if isinstance(inner, BaseException)]


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a JSON value, in order, without the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _texts(member)
