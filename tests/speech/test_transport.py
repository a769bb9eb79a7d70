"""Requests go through the environment's proxy, and a peer may take only so long."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from local.speech import Fault, Script, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.raw_peer import RawConnection, RawPeer
from tests.support.settings import SPEECH_KEY
from tests.support.speech_client import Caller
from tests.support.words import hello_world
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted, Misconfigured
from transcription.speech import client
from transcription.speech.transport import Transport

PASSWORD = "s3cret"


@dataclass
class Proxy:
    """A proxy that opens tunnels, one after another, and records the requests' heads and every byte that passes."""

    tunnels: int = 1
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    forwarded: bytearray = field(default_factory=bytearray)

    def serve(self, listener: socket.socket) -> None:
        for _ in range(self.tunnels):
            self._serve_one(listener)

    def _serve_one(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # the test ended without a connection
            return
        with client:
            head = client.recv(65536)
            self.heads.append(head)
            host, _, port = head.split(b" ")[1].partition(b":")
            with socket.create_connection((host.decode(), int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
                backwards = threading.Thread(target=self._forward, args=(server, client))
                backwards.start()
                self._forward(client, server)
                backwards.join()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.forwarded += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # either end may close first


@contextmanager
def proxy(tls: ssl.SSLContext | None = None, tunnels: int = 1) -> Iterator[Proxy]:
    running = Proxy(tunnels)
    with socket.create_server(("127.0.0.1", 0)) as plain, _secured(plain, tls) as listener:
        running.port = listener.getsockname()[1]
        threading.Thread(target=running.serve, args=(listener,), daemon=True).start()
        yield running
        socket.socket.shutdown(listener, socket.SHUT_RDWR)


def _secured(listener: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(listener, server_side=True) if tls else listener


@pytest.mark.parametrize("excluded", [False, True])
def test_the_environments_proxy_is_used_except_for_excluded_hosts(
    tls_endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, excluded: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost" if excluded else "elsewhere.example")
    with proxy() as running:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{PASSWORD}@127.0.0.1:{running.port}")
        assert Caller(tls_endpoint, clock)().phrase is not None
    if excluded:
        assert running.heads == []
    else:
        assert running.heads[0].startswith(b"CONNECT localhost:")
        assert b"Proxy-Authorization: Basic " in running.heads[0]
        assert SPEECH_KEY.encode() not in running.heads[0] + running.forwarded


def test_a_new_tunnel_is_opened_where_a_refusal_ended_the_last_one(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's answer to CONNECT is its own, whatever the last request on the connection was answered."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))

    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.read_head()
        connection.send(b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\n\r\n")
        connection.wait_for_hang_up()

    with RawPeer(script, context) as peer, proxy(tunnels=3) as running:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.port}")
        transport = Transport(1)
        statuses = [transport.post(peer.url, [], {}, iter([b"clip"]), (2.0, 2.0), 5.0).status for _ in range(6)]
    assert statuses == [200, 429] * 3
    assert len(running.heads) == 3


def test_a_malformed_proxy_address_is_a_configuration_error_without_its_password(
    tls_endpoint: SpeechEndpoint, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:{PASSWORD}@:80:80/")
    with pytest.raises(Misconfigured, match="this machine's proxy settings") as raised:
        Caller(tls_endpoint, clock)()
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_that_drips_through_a_proxy_ends_with_its_time(
    tls_endpoint: SpeechEndpoint, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """This runs on the real clock: without a limit, the head of this answer alone would take half a minute."""
    tls_endpoint.faults.append(Fault.dripping(0.2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with proxy(context if scheme == "https" else None) as running:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://localhost:{running.port}")
        caller = Caller(tls_endpoint, FakeClock())
        caller.budget = Budget(SystemClock(), 0.5, "a.wav")
        started = time.monotonic()
        with pytest.raises(Exhausted):
            caller()
        assert time.monotonic() - started < 5
    assert running.heads


def test_an_answer_may_take_longer_than_connecting(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    with SpeechEndpoint(Script(hello_world), key=SPEECH_KEY, latency=lambda _: 0.5) as endpoint:
        assert Caller(endpoint, clock)().phrase is not None
    assert clock.slept == []
