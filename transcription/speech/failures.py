"""Turns failed requests into reasons that can be logged, without secrets, and tells when a retry makes sense."""

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from transcription.clock import Clock
from transcription.speech.credentials import KEY_HEADER

QUOTED = 300  # characters of an error's body that a message repeats


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


def explanation(body: bytes) -> str:
    """Return what the body of an error says, short and on one line."""
    text = body[: 4 * QUOTED].decode("utf-8", "replace")
    try:
        error = json.loads(body).get("error", {})
        text = error.get("message") or text
    except (ValueError, AttributeError, RecursionError):
        pass  # some errors are plain text, some are empty
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(printable.split())[:QUOTED].rstrip(".") or "(no explanation)"


def without_secrets(content: bytes, request_headers: Mapping[str, str]) -> bytes:
    """Return `content` with the request's key or token masked. An answer may repeat them, and logs quote answers."""
    for name in (KEY_HEADER, "Authorization"):
        if secret := request_headers.get(name, "").removeprefix("Bearer "):
            content = re.sub(re.escape(secret.encode()), b"***", content, flags=re.IGNORECASE)
    return content


def network_reason(error: BaseException, request_headers: Mapping[str, str]) -> str:
    """Return the innermost cause in words, such as `ConnectionResetError: Connection reset by peer`.

    The cause may quote a line of the answer, which may repeat the request's key or token.
    """
    while inner := (error.__cause__ or error.__context__ or next(iter(_nested(error)), None)):
        error = inner
    detail = str(getattr(error, "strerror", None) or error).encode(errors="replace")
    text = without_secrets(detail, request_headers).decode()
    return f"no answer from the Speech service ({type(error).__name__}: {text:.200})"


def _nested(error: BaseException) -> list[BaseException]:
    """Return the errors that urllib3 wrapped in this one, as arguments or as `reason`."""
    return [inner for inner in (*error.args, getattr(error, "reason", None)) if isinstance(inner, BaseException)]
