"""A deadline ends an exchange from outside, whatever its thread is doing."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from local.tools import PROJECT
from transcription.speech.exchanges import Exchanges, hang_up


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def test_a_read_that_outlasts_the_deadline_sees_the_end_of_the_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    exchanges, (ours, theirs) = Exchanges(), pair
    with ours, theirs, exchanges.within(0.05) as exchange:
        exchanges.follow(ours)
        assert ours.recv(1) == b""
        assert exchange.late


def test_a_socket_is_followed_even_after_its_owner_closed_it(pair: tuple[socket.socket, socket.socket]) -> None:
    """http.client closes the socket of an answer without a length before that is read."""
    exchanges, (ours, theirs) = Exchanges(), pair
    with theirs, exchanges.within(0.05):
        exchanges.follow(ours)
        with ours.makefile("rb") as answer:
            ours.close()
            assert answer.read() == b""


def test_a_socket_that_comes_after_the_deadline_is_shut_down_at_once(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    exchanges, (ours, theirs) = Exchanges(), pair
    first, first_peer = socket.socketpair()
    with ours, theirs, first, first_peer, exchanges.within(0.01) as exchange:
        exchanges.follow(first)
        while not exchange.late:
            time.sleep(0.005)
        exchanges.follow(ours)
        ours.settimeout(1)
        assert ours.recv(1) == b""


def test_an_exchange_that_ends_in_time_leaves_its_connection_open(pair: tuple[socket.socket, socket.socket]) -> None:
    exchanges, (ours, theirs) = Exchanges(), pair
    with ours, theirs:
        with exchanges.within(0.05) as exchange:
            exchanges.follow(ours)
        time.sleep(0.1)
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        assert not exchange.late


def test_a_socket_is_not_followed_once_the_exchange_has_ended(pair: tuple[socket.socket, socket.socket]) -> None:
    exchanges, (ours, theirs) = Exchanges(), pair
    with exchanges.within(5):
        pass
    exchanges.follow(ours)
    ours.close()
    theirs.settimeout(1)
    with theirs:
        assert theirs.recv(1) == b"", "nobody else holds it open"


def test_an_earlier_deadline_is_kept_although_a_later_one_came_first(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    exchanges, (ours, theirs) = Exchanges(), pair
    began, go_on = threading.Event(), threading.Event()

    def long_exchange() -> None:
        with exchanges.within(60):
            began.set()
            go_on.wait(10)

    thread = threading.Thread(target=long_exchange)
    thread.start()
    began.wait(10)
    with ours, theirs, exchanges.within(0.05):
        exchanges.follow(ours)
        assert ours.recv(1) == b""
    go_on.set()
    thread.join(10)


def test_exchanges_of_other_threads_are_not_marked_as_answered_early() -> None:
    exchanges = Exchanges()
    with exchanges.within(5) as ours:
        other = threading.Thread(target=exchanges.mark_early)
        other.start()
        other.join(10)
        assert not ours.answered_early
        exchanges.mark_early()
        assert ours.answered_early


def test_hanging_up_leaves_the_descriptor_to_its_owner(pair: tuple[socket.socket, socket.socket]) -> None:
    with pair[0] as ours, pair[1] as theirs:
        hang_up(ours.fileno())
        assert theirs.recv(1) == b""
        assert ours.fileno() >= 0


def test_watching_deadlines_does_not_keep_a_process_from_ending() -> None:
    use = "from transcription.speech.exchanges import EXCHANGES\nwith EXCHANGES.within(60): pass"
    subprocess.run([sys.executable, "-c", use], cwd=PROJECT, check=True, timeout=10)


@pytest.mark.parametrize("seconds", [60, 0.01], ids=["ahead", "passed"])
def test_watching_a_deadline_takes_no_cpu_time(seconds: float) -> None:
    with Exchanges().within(seconds):
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.1
