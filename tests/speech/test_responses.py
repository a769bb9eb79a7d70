"""A final answer is read from a socket, and nothing is left behind it."""

import socket
from collections.abc import Iterator

import pytest

from transcription.speech.exchanges import TooLongAnswer
from transcription.speech.responses import MAX_INTERIM, MAX_RAW_BYTES, FinalResponse

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwords"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def read(sock: socket.socket, once: bool = False, head: bytes = b"") -> bytes:
    response = FinalResponse(sock, method="POST", once=once, head=head)
    response.begin()
    return response.read(100)


def is_open(sock: socket.socket) -> bool:
    """Tell whether the other side still accepts bytes."""
    try:
        sock.sendall(b"x")
    except BrokenPipeError:
        return False
    return True


def test_an_answer_alone_leaves_the_connection_open(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(INTERIM + ANSWER)
    assert read(pair[0]) == b"words"
    assert is_open(pair[1])


def test_bytes_behind_the_answer_end_the_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(ANSWER + b"H")
    assert read(pair[0]) == b"words"
    assert not is_open(pair[1])


def test_a_connection_for_one_answer_is_ended(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(ANSWER)
    assert read(pair[0], once=True) == b"words"
    assert not is_open(pair[1])


def test_a_head_that_was_read_already_comes_first(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(b"words")
    assert read(pair[0], head=ANSWER.removesuffix(b"words")) == b"words"


def test_a_flood_of_interim_answers_is_not_read_for_ever(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(INTERIM * (MAX_INTERIM + 1) + ANSWER)
    with pytest.raises(TooLongAnswer):
        read(pair[0])


def test_heads_without_end_are_not_read_for_ever() -> None:
    class Endless:
        """A socket that never runs out of the same interim head, which http.client skips by itself."""

        def __init__(self) -> None:
            self.count = 0

        def makefile(self, *_: object, **__: object) -> "Endless":
            return self

        def readinto(self, buffer: memoryview) -> int:
            data = (b"HTTP/1.1 100 Continue\r\n\r\n" * 400)[: len(buffer) // 25 * 25]
            buffer[: len(data)] = data
            self.count += len(data)
            return len(data)

        def close(self) -> None:
            pass

        def fileno(self) -> int:
            return -1

    endless = Endless()
    with pytest.raises(TooLongAnswer):
        FinalResponse(endless, method="POST", once=False, head=b"").begin()
    assert endless.count <= MAX_RAW_BYTES + 10_000
