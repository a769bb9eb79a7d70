"""Fixtures for all tests. They share one Azurite as storage, and each test has its own containers."""

import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite
from local.speech import Script, SpeechEndpoint
from local.tools import worker_python
from tests.support.app import App
from tests.support.clock import FakeClock
from tests.support.settings import SPEECH_KEY
from tests.support.words import hello_world


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def endpoint() -> Iterator[SpeechEndpoint]:
    """Yield a Speech endpoint that recognises `Hello world.` in every clip."""
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as azurite:
        assert azurite.connection_string  # waits until Azurite answers
        yield azurite


@pytest.fixture(scope="session")
def worker() -> Path:
    """Return the Python that runs Microsoft's worker code."""
    python = worker_python()
    if python is None:
        pytest.skip("Microsoft's worker code needs Python 3.13, and none was found (set PYTHON313)")
    return python


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_endpoint(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechEndpoint]:
    """Yield the same over TLS. Clients trust it through REQUESTS_CA_BUNDLE, as they trust any private authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY, tls=context) as endpoint:
        yield endpoint


@pytest.fixture
def app(azurite: Azurite, endpoint: SpeechEndpoint, clock: FakeClock) -> Iterator[App]:
    """Yield an app under test with both containers and an endpoint."""
    with open_app(azurite, endpoint, clock) as app:
        yield app


@pytest.fixture
def tls_app(azurite: Azurite, tls_endpoint: SpeechEndpoint, clock: FakeClock) -> Iterator[App]:
    with open_app(azurite, tls_endpoint, clock) as app:
        yield app


@contextmanager
def open_app(azurite: Azurite, endpoint: SpeechEndpoint, clock: FakeClock) -> Iterator[App]:
    """Open an app with new containers, and delete them at the end."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        app = App(service, azurite.connection_string, endpoint, clock, uuid.uuid4().hex[:12])
        yield app
        app.remove()
