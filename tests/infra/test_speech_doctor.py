"""Without an answer, the check says why in one sentence: key, region, network, clock, proxy or quota."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from infra.speech_check.clips import silence
from infra.speech_check.doctor import clock_skew, diagnosis
from infra.speech_check.exchanges import Exchange, Request, Sender
from local.speech import Fault, Script, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.settings import RESOURCE_ID, SPEECH_KEY, app_settings
from tests.support.words import hello_world
from transcription.settings.secrets import Secrets
from transcription.settings.speech import SpeechSettings
from transcription.speech.client import RecognitionOptions
from transcription.speech.encoding import as_wav

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def settings_for(**changes: str | None) -> SpeechSettings:
    return SpeechSettings.read(app_settings(**changes))


def request_with(settings: SpeechSettings) -> Request:
    return Request("a", as_wav(silence(1.0)), settings, RecognitionOptions("en-US", "masked"))


def diagnosed(address: str, **changes: str | None) -> str:
    """Send a request to this address, and return the diagnosis."""
    settings = settings_for(AZURE_SPEECH_ENDPOINT=address, **changes)
    return diagnosis(Sender(settings, FakeClock()).send(request_with(settings)), settings)


def answered(status: int, body: bytes, **changes: str | None) -> str:
    settings = settings_for(**changes)
    exchange = Exchange(request_with(settings), Secrets([]), status, {}, body)
    return diagnosis(exchange, settings)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, b'{"error":{"code":"401","message":"Access denied"}}', "Wrong key or wrong region: "),
        (403, b'{"error":{"code":"403","message":"Out of call volume quota."}}', "Quota: the resource's volume"),
        (403, b'{"error":{"message":"Key based authentication is disabled for this resource."}}', "is disabled"),
        (429, b'{"error":{"code":"429","message":"Too many"}}', "Quota: the service has no room"),
        (407, b"", "Proxy: it wants a user and a password"),
        (404, b'{"error":{"message":"Resource not found"}}', "There is no Speech service at this address"),
        (400, b'{"Message":"Invalid CID or language"}', "Check SPEECH_LANGUAGE"),
        (200, b"<html>Sign in</html>", "not that of the Speech service"),
        (503, b"busy", "answered 503: busy"),
    ],
)
def test_an_error_says_what_is_wrong(status: int, body: bytes, says: str) -> None:
    assert says in answered(status, body)


def test_an_identity_without_the_role_is_told_which_one() -> None:
    identity = {"AZURE_SPEECH_AUTH": "identity", "AZURE_SPEECH_RESOURCE_ID": RESOURCE_ID}
    assert "Cognitive Services Speech User" in answered(401, b"no", **identity)


def test_a_port_that_nobody_listens_on_is_a_matter_of_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = diagnosed(f"http://127.0.0.1:{port}")
    assert said.startswith("No network: 127.0.0.1 does not answer")
    assert "Connection refused" in said


@pytest.mark.parametrize(
    ("elsewhere", "says"),
    [(True, "Wrong region: there is no host nowhere.stt.speech.microsoft.com"), (False, "No network: no name")],
)
def test_a_host_without_an_address_is_a_wrong_region_if_others_have_one(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool, says: str
) -> None:
    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        if elsewhere and "speech" not in host:
            return []
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert says in diagnosed("https://nowhere.stt.speech.microsoft.com")


def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    assert diagnosed("https://westeurope.stt.speech.microsoft.com").startswith("Proxy: it refuses the connection to")


@pytest.mark.parametrize(
    ("days", "trusted", "says"),
    [
        ((-10, -1), True, "Clock: the certificate of localhost is not valid at this machine's time"),
        ((1, 10), True, "Clock: the certificate of localhost is not valid at this machine's time"),
        ((-1, 10), False, "REQUESTS_CA_BUNDLE"),
    ],
    ids=["expired", "not yet valid", "untrusted"],
)
def test_a_certificate_tells_a_wrong_clock_from_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: tuple[int, int], trusted: bool, says: str
) -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    begin, end = (now + timedelta(days=day) for day in days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_before=begin, not_after=end).configure_cert(context)
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY, tls=context) as endpoint:
        assert says in diagnosed(endpoint.url)


def test_a_token_that_cannot_be_fetched_says_so() -> None:
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY) as endpoint:
        endpoint.faults.append(Fault.status(403, b"Forbidden").at("/sts/v1.0/issueToken"))
        said = diagnosed(endpoint.url, AZURE_SPEECH_AUTH="token")
    assert "issueToken answered 403: Forbidden" in said
    assert "set AZURE_SPEECH_AUTH to key" in said


@pytest.mark.parametrize(
    ("date", "says"),
    [
        ("Thu, 26 Nov 2026 12:00:10 GMT", None),
        ("Thu, 26 Nov 2026 11:20:00 GMT", "40 minutes fast"),
        ("Thu, 26 Nov 2026 12:10:00 GMT", "10 minutes slow"),
        ("", None),
        ("yesterday", None),
    ],
)
def test_a_clock_that_differs_by_minutes_is_named(date: str, says: str | None) -> None:
    settings = settings_for()
    skew = clock_skew(Exchange(request_with(settings), Secrets([]), 200, {"Date": date}), NOW)
    assert skew is None if says is None else says in str(skew)
