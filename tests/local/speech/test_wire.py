"""One connection: its requests and answers, its limits, and clients that break the protocol."""

import socket

from local.speech import SpeechEndpoint
from tests.support.speech_requests import PATH, Post, tone, wav


def test_connections_are_kept_alive(speech: SpeechEndpoint, post: Post) -> None:
    assert [post().status_code for _ in range(3)] == [200, 200, 200]
    assert speech.connections == 1
    assert [received.connection for received in speech.received] == [1, 1, 1]


def test_a_client_that_waits_for_100_continue_gets_it(speech: SpeechEndpoint) -> None:
    port = speech.port
    body = wav(tone(0.1))
    head = (
        f"POST {PATH}?language=en-US HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Expect: 100-continue\r\nAccept: application/json\r\n"
        "Content-Type: audio/wav; codecs=audio/pcm; samplerate=16000\r\n"
        "Ocp-Apim-Subscription-Key: local-key\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_an_endless_body_is_refused_before_it_fills_the_memory(speech: SpeechEndpoint, post: Post) -> None:
    assert post(bytes(8 * 1024 * 1024)).status_code == 413
    assert len(speech.received[0].audio) < 5 * 1024 * 1024


def test_an_endless_head_is_refused(post: Post) -> None:
    assert post(query="language=en-US&x=" + "x" * 100_000).status_code == 431


def test_bytes_that_are_not_http_are_refused(speech: SpeechEndpoint) -> None:
    with socket.create_connection(("127.0.0.1", speech.port), timeout=5) as client:
        client.sendall(b"good morning\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_vanishes_does_no_harm(speech: SpeechEndpoint, post: Post) -> None:
    head = f"POST {PATH}?language=en-US HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    with socket.create_connection(("127.0.0.1", speech.port), timeout=5) as client:
        client.sendall(f"{head}Ocp-Apim-Subscription-Key: local-key\r\n\r\n5\r\nhe".encode())
    assert post().status_code == 200
