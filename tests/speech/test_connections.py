"""Connections that are used again: whatever a peer sends, an answer reaches only the request that it belongs to."""

import gc
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.raw_peer import CONTINUE, RawConnection, RawPeer
from tests.support.wire import run_exchanges
from transcription.speech.exchanges import OutOfOrder, TooSlow
from transcription.speech.transport import Reply, Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright"
WRONG = OK.replace(b"right", b"wrong")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = b"HTTP/1.1 429 Busy\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nwords"


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return context


class Client:
    """Sends clips to one peer, one after another."""

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer
        self._transport = Transport(4)

    def post(self, seconds: float = 5.0, pause: float = 0.0) -> Reply:
        return self._transport.post(self._peer.url, [], {}, self._body(pause), (2.0, 2.0), seconds)

    def _body(self, pause: float) -> Iterator[bytes]:
        yield b"first chunk"
        time.sleep(pause)
        yield b"last chunk"


def every_request(answer: bytes, acknowledge: bool = True) -> Callable[[RawConnection], None]:
    def script(connection: RawConnection) -> None:
        while True:
            connection.read_request(acknowledge)
            connection.send(answer)

    return script


def test_an_acknowledged_connection_is_used_again(tls: ssl.SSLContext | None) -> None:
    with RawPeer(every_request(OK), tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(5)] == [b"right"] * 5
        assert peer.connections == 1


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints", b"100 Continue", b"101 Switching", b"199 "])
def test_interim_answers_are_skipped(tls: ssl.SSLContext | None, interim: bytes) -> None:
    head = b"HTTP/1.1 " + interim + b"\r\nLink: </a>\r\nContent-Length: 99\r\n\r\n"
    with RawPeer(every_request(head * 2 + OK), tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(3)] == [b"right"] * 3


@pytest.mark.parametrize("behind", [WRONG, b"\0", b"HTTP/1.1", CONTINUE + WRONG, WRONG + bytes(20_000)])
@pytest.mark.parametrize("answer", [OK, CHUNKED + b"5\r\nright\r\n0\r\n\r\n"])
def test_a_connection_with_bytes_behind_the_answer_is_not_used_again(
    tls: ssl.SSLContext | None, answer: bytes, behind: bytes
) -> None:
    with RawPeer(every_request(answer + behind), tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(3)] == [b"right"] * 3
        assert peer.connections == 3


def test_a_second_answer_that_comes_late_reaches_no_other_request(tls: ssl.SSLContext | None) -> None:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.read_head()
        connection.send(WRONG)
        connection.read_body()
        connection.send(WRONG)

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(4)] == [b"right"] * 4


def test_stale_answers_do_not_count_as_silence_so_acknowledgements_are_still_asked_for(
    tls: ssl.SSLContext | None,
) -> None:
    heads = []

    def script(connection: RawConnection) -> None:
        heads.append(connection.read_head())
        connection.send(CONTINUE)
        connection.read_body()
        connection.send(OK)
        connection.read_head()
        connection.send(WRONG)
        connection.wait_for_hang_up()

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(8)] == [b"right"] * 8
    assert len(heads) == 8
    assert not any(b"Connection: close" in head for head in heads)


def test_a_success_before_the_request_was_sent_is_refused(tls: ssl.SSLContext | None) -> None:
    """Even behind an acknowledgement: a client that answered twice may also have acknowledged twice."""

    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.read_head()
        connection.send(CONTINUE + WRONG)
        connection.wait_for_hang_up()

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert client.post().body == b"right"
        with pytest.raises(OutOfOrder):
            client.post(pause=0.2)
        assert client.post().body == b"right", "on a new connection"
        assert peer.connections == 2


@pytest.mark.parametrize("interim", [b"HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\n", CONTINUE, CONTINUE * 2])
def test_interim_answers_while_the_body_is_sent_are_skipped(tls: ssl.SSLContext | None, interim: bytes) -> None:
    def script(connection: RawConnection) -> None:
        while True:
            connection.read_head()
            connection.send(CONTINUE)
            time.sleep(0.02)
            connection.send(interim)
            connection.read_body()
            connection.send(interim + OK)

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert [client.post(pause=0.1).body for _ in range(3)] == [b"right"] * 3
        assert peer.connections == 1


def test_an_interim_answer_may_come_before_the_acknowledgement(tls: ssl.SSLContext | None) -> None:
    def script(connection: RawConnection) -> None:
        while True:
            connection.read_head()
            connection.send(b"HTTP/1.1 102 Processing\r\n\r\n" + CONTINUE)
            connection.read_body()
            connection.send(OK)

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(3)] == [b"right"] * 3
        assert peer.connections == 1


def test_kept_connections_that_went_mute_do_not_end_the_use_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network may forget idle connections. The peer has acknowledged before, so it will again."""
    monkeypatch.setattr("transcription.speech.connections.ACKNOWLEDGED_WITHIN", 0.05)
    accepted = []

    def script(connection: RawConnection) -> None:
        accepted.append(connection)
        for _ in range(2 if len(accepted) <= 4 else 100):
            connection.read_request()
            connection.send(OK)
        connection.read_head()
        connection.wait_for_hang_up()

    with RawPeer(script) as peer:
        client = Client(peer)
        assert [client.post().body for _ in range(30)] == [b"right"] * 30
        assert peer.connections == 5


def test_a_refusal_in_place_of_the_acknowledgement_counts_without_its_words(tls: ssl.SSLContext | None) -> None:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.read_head()
        connection.send(REFUSED)
        connection.wait_for_hang_up()

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        assert client.post().body == b"right"
        refusal = client.post()
        assert (refusal.status, refusal.headers["Retry-After"], refusal.body) == (429, "7", b"")
        assert client.post(seconds=0.5).body == b"right", "on a new connection, for the body of the last was not sent"


def test_a_refusal_on_a_new_connection_keeps_its_words(tls: ssl.SSLContext | None) -> None:
    with RawPeer(every_request(REFUSED), tls) as peer:
        assert Client(peer).post().body == b"words"


def test_a_peer_that_never_acknowledges_gets_a_connection_for_each_request(
    tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transcription.speech.connections.ACKNOWLEDGED_WITHIN", 0.05)
    heads = []

    def script(connection: RawConnection) -> None:
        while True:
            heads.append(connection.read_head())
            connection.read_body()
            connection.send(OK)

    with RawPeer(script, tls) as peer:
        client = Client(peer)
        started = time.monotonic()
        assert [client.post().body for _ in range(8)] == [b"right"] * 8
        assert time.monotonic() - started < 2.0, "it waits for an acknowledgement, not for as long as for an answer"
        assert peer.connections == 8
    assert sum(b"Connection: close" in head for head in heads) == 5, "after three silences it does not ask any more"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-",
        CHUNKED + b"5",
        CHUNKED + b"5\r\nrig",
        CHUNKED + b"5\r\nright\r\n0\r\nX-Trailer: 1\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
    ],
)
def test_an_answer_that_stops_anywhere_ends_with_its_time(tls: ssl.SSLContext | None, answer: bytes) -> None:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(answer)
        connection.wait_for_hang_up()

    with RawPeer(script, tls) as peer:
        assert_too_slow(Client(peer), seconds=0.3)


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"0\r\n", b"X-Trailer: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
)
def test_an_answer_that_drips_for_ever_ends_with_its_time(
    tls: ssl.SSLContext | None, start: bytes, drop: bytes
) -> None:
    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(start)
        while True:
            for at in range(len(drop)):
                connection.send(drop[at : at + 1])
                time.sleep(0.01)

    with RawPeer(script, tls) as peer:
        assert_too_slow(Client(peer), seconds=0.3)


def test_a_peer_that_takes_no_bytes_ends_with_its_time() -> None:
    def script(connection: RawConnection) -> None:
        connection.read_head()
        time.sleep(2)

    with RawPeer(script) as peer:
        transport, body = Transport(1), iter([bytes(1 << 20)] * 64)
        started = time.monotonic()
        with pytest.raises(TooSlow):
            transport.post(peer.url, [], {}, body, (2.0, 2.0), 0.3)
        assert time.monotonic() - started < 1.3


def test_a_tls_handshake_that_drips_ends_with_its_time() -> None:
    def script(connection: RawConnection) -> None:
        connection.send(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB
        while True:
            connection.send(b"\x02")
            time.sleep(0.02)

    with RawPeer(script) as peer:
        transport = Transport(1)
        started = time.monotonic()
        with pytest.raises(TooSlow):
            transport.post(peer.url.replace("http:", "https:"), [], {}, iter([b"x"]), (2.0, 2.0), 0.3)
        assert time.monotonic() - started < 1.3


def assert_too_slow(client: Client, seconds: float) -> None:
    started = time.monotonic()
    with pytest.raises(TooSlow):
        client.post(seconds)
    assert seconds <= time.monotonic() - started < seconds + 1


# CPython leaves a socket that is reset before its TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_answer_reaches_another_request_whatever_a_peer_sends(tls: ssl.SSLContext | None) -> None:
    outcomes = run_exchanges(400, seed=1, tls=tls)
    gc.collect()
    assert outcomes.wrong == []
    assert outcomes.slowest < outcomes.deadline + 1
    assert outcomes.counts["answered"] > 200
    assert outcomes.counts["TooSlow"] > 0
