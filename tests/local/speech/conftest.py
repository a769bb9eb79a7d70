"""Speech endpoints, and a client that they accept."""

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import trustme

from local.speech import Script, SpeechEndpoint
from tests.support.speech_requests import HEADERS, HELLO_WORLD, PATH, Post, in_chunks, tone, wav


@pytest.fixture
def script() -> Script:
    return Script(HELLO_WORLD)


@pytest.fixture
def speech(script: Script) -> Iterator[SpeechEndpoint]:
    """Return an endpoint that recognises "hello world" in every clip."""
    with SpeechEndpoint(script) as endpoint:
        yield endpoint


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def post(speech: SpeechEndpoint, session: requests.Session) -> Post:
    """Return a function that sends a correct recognition. Its arguments change headers; None leaves one out."""

    def send(
        body: bytes | Iterator[bytes] | None = None,
        query: str = "language=en-US",
        *,
        path: str = PATH,
        endpoint: SpeechEndpoint | None = None,
        **headers: str | None,
    ) -> requests.Response:
        changed: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in HEADERS.items() if name.lower() not in changed}
        content: Any = in_chunks(wav(tone(1.0))) if body is None else body
        if isinstance(content, bytes):
            content = in_chunks(content)
        url = f"{(endpoint or speech).url}{path}?{query}"
        return session.post(url, data=content, headers={**kept, **changed}, timeout=20, allow_redirects=False)

    return send


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
