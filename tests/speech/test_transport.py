"""The way to the service: proxies, and how long a peer may take."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import trustme

from local.speech import Fault, Script, SpeechEndpoint
from tests.speech.test_client import Caller
from tests.support.clock import FakeClock
from tests.support.settings import SPEECH_KEY
from tests.support.words import hello_world
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted, Misconfigured
from transcription.speech import client

PASSWORD = "s3cret"


@dataclass
class Proxy:
    """Opens tunnels, and notes what it was asked and everything that went through."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)

    def serve(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # the test is over, and nobody came
            return
        with client:
            head = client.recv(65536)
            self.heads.append(head)
            host, _, port = head.split(b" ")[1].partition(b":")
            with socket.create_connection((host.decode(), int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
                back = threading.Thread(target=self._pass, args=(server, client))
                back.start()
                self._pass(client, server)
                back.join()

    def _pass(self, start: socket.socket, end: socket.socket) -> None:
        try:
            while data := start.recv(65536):
                self.passed += data
                end.sendall(data)
            end.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # either end may leave first


@contextmanager
def proxy(tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    found = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as plain, _secured(plain, tls) as listener:
        found.port = listener.getsockname()[1]
        threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
        yield found
        socket.socket.shutdown(listener, socket.SHUT_RDWR)


def _secured(listener: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(listener, server_side=True) if tls else listener


@pytest.mark.parametrize("excepted", [False, True])
def test_the_environment_s_proxy_is_used_for_all_but_the_hosts_it_excepts(
    tls_endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, excepted: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost" if excepted else "elsewhere.example")
    with proxy() as there:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{PASSWORD}@127.0.0.1:{there.port}")
        assert Caller(tls_endpoint, clock)().phrase is not None
    if excepted:
        assert there.heads == []
    else:
        assert there.heads[0].startswith(b"CONNECT localhost:")
        assert b"Proxy-Authorization: Basic " in there.heads[0]
        assert SPEECH_KEY.encode() not in there.heads[0] + there.passed


def test_a_proxy_s_address_that_is_none_is_a_configuration_error_without_its_password(
    tls_endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{PASSWORD}@:80:80/")
    with pytest.raises(Misconfigured, match="this machine's proxy settings") as raised:
        Caller(tls_endpoint, clock)()
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_behind_a_proxy_too_an_answer_that_drips_is_given_up(
    tls_endpoint: SpeechEndpoint, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """On the real clock: left to itself, this answer's head alone would take half a minute."""
    tls_endpoint.faults.append(Fault.dripping(0.2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with proxy(context if scheme == "https" else None) as there:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://localhost:{there.port}")
        caller = Caller(tls_endpoint, FakeClock())
        caller.budget = Budget(SystemClock(), 0.5, "a.wav")
        started = time.monotonic()
        with pytest.raises(Exhausted):
            caller()
        assert time.monotonic() - started < 5
    assert there.heads


def test_an_answer_may_take_longer_than_a_connection_may(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY, latency=lambda _: 0.5) as endpoint:
        assert Caller(endpoint, clock)().phrase is not None
    assert clock.slept == []
