"""One sentence about why there is no answer, and what to do: key, region, network, clock, proxy, quota."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests

from infra.speech_check.exchanges import Exchange
from transcription.settings.speech import IDENTITY, SpeechSettings
from transcription.speech.refusals import Asked, Refusal, recognition_error

ELSEWHERE = "management.azure.com"  # a host that any network with access to Azure can resolve
MOST_SKEW = 300.0  # seconds; tokens and certificates tolerate about as much


def diagnosis(exchange: Exchange, settings: SpeechSettings) -> str:
    """Return what is wrong, as one sentence or two, without secrets."""
    if exchange.failure is not None:
        return _without_answer(exchange, exchange.failure, settings)
    said = exchange.explanation
    if exchange.status == 429:
        return (
            f"Quota: the service has no room for a single request ({said}). F0 takes one at a time and five hours a"
            " month; other apps may use the same resource. Wait, or use a resource of the tier S0."
        )
    if exchange.status == 403 and any(word in said.lower() for word in ("quota", "volume")):
        return f"Quota: the resource's volume is used up ({said}). Wait for the next month, or use the tier S0."
    if exchange.status == 407:
        return "Proxy: it wants a user and a password. Set HTTPS_PROXY=http://user:password@host:port."
    if exchange.status == 401 and settings.auth != IDENTITY:
        return (
            f"Wrong key or wrong region: {settings.endpoint.base} does not know the key ({said}). A key belongs to one"
            " region: copy AZURE_SPEECH_KEY and AZURE_SPEECH_REGION from the same page of the portal."
        )
    if exchange.status == 200:
        return "The answer is not that of the Speech service. Check AZURE_SPEECH_ENDPOINT, and proxies in between."
    options = exchange.request.options
    model = settings.models.id_for(options.language)
    return str(
        recognition_error(Refusal(exchange.status, said), settings, Asked(options.language, model, False, False))
    )


def clock_skew(exchange: Exchange, now: datetime | None = None) -> str | None:
    """Return a sentence if this machine's clock differs from the service's by minutes, else None."""
    try:
        theirs = parsedate_to_datetime(exchange.headers.get("Date", ""))
        skew = ((now or datetime.now(UTC)) - theirs).total_seconds()
    except (ValueError, TypeError):
        return None
    if abs(skew) <= MOST_SKEW:
        return None
    direction = "fast" if skew > 0 else "slow"
    return f"Clock: this machine's is {abs(skew) / 60:.0f} minutes {direction}. Set it, or tokens are refused."


def _without_answer(exchange: Exchange, failure: Exception, settings: SpeechSettings) -> str:
    host = urlsplit(settings.endpoint.base).hostname or ""
    causes = list(_causes(failure))
    text = " ".join(str(cause) for cause in causes).lower()
    if isinstance(failure, requests.exceptions.ProxyError) or any("Proxy" in type(c).__name__ for c in causes):
        return f"Proxy: it refuses the connection to {host}. Check HTTPS_PROXY, or add the host to NO_PROXY."
    if "not yet valid" in text or "has expired" in text:
        return f"Clock: the certificate of {host} is not valid at this machine's time. Set its clock."
    if "certificate" in text or isinstance(failure, requests.exceptions.SSLError):
        return (
            f"Proxy or endpoint: the certificate of {host} is not trusted. If a proxy inspects TLS, set"
            " REQUESTS_CA_BUNDLE to its authority's file. Else check AZURE_SPEECH_ENDPOINT."
        )
    if any(isinstance(cause, socket.gaierror) or "NameResolution" in type(cause).__name__ for cause in causes):
        if _resolves(ELSEWHERE):
            return f"Wrong region: there is no host {host}. Check AZURE_SPEECH_REGION or AZURE_SPEECH_ENDPOINT."
        return "No network: no name can be resolved. Check this machine's connection and its DNS."
    if isinstance(failure, requests.RequestException):
        return f"No network: {host} does not answer ({exchange.explanation}). A firewall may be in between."
    return exchange.explanation  # the token's: it says what to do


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything that it wraps."""
    todo, seen = [error], set[int]()
    while todo:
        current = todo.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        todo += [cause for cause in inner if isinstance(cause, BaseException)]


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True
