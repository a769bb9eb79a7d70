"""The stand-in makes the faults that tests ask for, each one once, in order."""

import http.client
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import requests

from local.speech import Fault, Script, SpeechEndpoint
from tests.support.speech_requests import HEADERS, HELLO_WORLD, PATH, Post, tone, wav

TARGET = f"{PATH}?language=en-US"
HALF = 20_000  # bytes


def head(**changed: str) -> bytes:
    headers = {"Host": "localhost", "Transfer-Encoding": "chunked", **HEADERS, **changed}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {TARGET} HTTP/1.1\r\n{lines}\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def connect(endpoint: SpeechEndpoint, tls: ssl.SSLContext | None = None) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", endpoint.port), timeout=5)
    if tls is None:
        return client
    return tls.wrap_socket(client, server_hostname="localhost", suppress_ragged_eofs=False)


def read_answer(client: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(client, method="POST")
    answer.begin()
    return answer


def read_to_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1000), b""))


def read_until_it_fails(client: socket.socket) -> bytes:
    data = b""
    with suppress(OSError):
        while piece := client.recv(1000):
            data += piece
    return data


def send_until_it_fails(client: socket.socket) -> OSError | None:
    try:
        for _ in range(2000):
            client.sendall(chunk(bytes(64 * 1024)))
    except OSError as error:
        return error
    return None


@pytest.fixture(params=["plain", "tls"])
def endpoint_and_tls(
    request: pytest.FixtureRequest, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> Iterator[tuple[SpeechEndpoint, ssl.SSLContext | None]]:
    secure = request.param == "tls"
    with SpeechEndpoint(Script(HELLO_WORLD), tls=server_tls if secure else None) as endpoint:
        yield endpoint, client_tls if secure else None


def test_a_status_fault_answers_after_the_whole_body_was_read(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.status(429, b"slow down", {"Retry-After": "7"}))
    answer = post()
    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (429, "slow down", "7")
    assert (speech.received[0].audio, speech.received[0].status) == (wav(tone(1.0)), 429)


def test_faults_apply_in_order_and_later_requests_are_answered_correctly(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.extend([Fault.status(503), Fault.none(), Fault.status(500)])
    assert [post().status_code for _ in range(4)] == [503, 200, 500, 200]
    assert speech.connections == 1


def test_a_refused_request_does_not_use_up_a_fault(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.status(503))
    assert [post(query="").status_code, post().status_code] == [400, 503]


def test_a_fault_with_a_path_waits_for_a_request_to_it(
    speech: SpeechEndpoint, session: requests.Session, post: Post
) -> None:
    speech.faults.append(Fault.status(500).at("/sts/v1.0/issueToken"))
    assert post().status_code == 200
    headers = {"Ocp-Apim-Subscription-Key": "local-key"}
    tokens = [session.post(f"{speech.url}/sts/v1.0/issueToken", headers=headers, timeout=5) for _ in range(2)]
    assert [answer.status_code for answer in tokens] == [500, 200]


def test_recognition_faults_do_not_apply_to_requests_for_tokens(
    speech: SpeechEndpoint, session: requests.Session, post: Post
) -> None:
    speech.faults.append(Fault.status(500))
    headers = {"Ocp-Apim-Subscription-Key": "local-key"}
    assert session.post(f"{speech.url}/sts/v1.0/issueToken", headers=headers, timeout=5).status_code == 200
    assert post().status_code == 500


def test_recognition_over_tls(endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None]) -> None:
    endpoint, tls = endpoint_and_tls
    with connect(endpoint, tls) as client:
        client.sendall(head() + chunk(wav(tone(0.1))) + b"0\r\n\r\n")
        answer = read_answer(client)
        assert (answer.status, b"Hello world." in answer.read()) == (200, True)
        answer.close()


def test_an_early_answer_comes_before_the_body_and_lets_the_client_finish(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None],
) -> None:
    endpoint, tls = endpoint_and_tls
    endpoint.faults.append(Fault.early(401, b"who are you?"))
    with connect(endpoint, tls) as client:
        client.sendall(head())
        answer = read_answer(client)
        assert (answer.status, answer.read(), answer.headers["Connection"]) == (401, b"who are you?", "close")
        client.sendall(chunk(bytes(HALF)) * 100 + b"0\r\n\r\n")
        assert client.recv(1) == b""
        answer.close()


def test_an_early_answer_can_wait_for_part_of_the_body(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None],
) -> None:
    endpoint, tls = endpoint_and_tls
    endpoint.faults.append(Fault.early(429, body_bytes=HALF))
    with connect(endpoint, tls) as client:
        client.sendall(head() + chunk(bytes(HALF - 1)))
        client.settimeout(0.1)
        assert b"429" not in read_until_it_fails(client)
        client.settimeout(5)
        client.sendall(chunk(b"x"))
        answer = read_answer(client)
        assert answer.status == 429
        answer.close()


def test_an_abrupt_early_answer_can_still_be_read(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None],
) -> None:
    endpoint, tls = endpoint_and_tls
    endpoint.faults.append(Fault.early(401, b"who are you?", body_bytes=HALF, abrupt=True))
    with connect(endpoint, tls) as client:
        client.sendall(head())
        assert isinstance(send_until_it_fails(client), BrokenPipeError | ConnectionResetError | ssl.SSLEOFError)
        data = read_until_it_fails(client)
    assert data.endswith(b"who are you?")


def test_a_refusal_comes_early_and_lets_the_client_finish(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None],
) -> None:
    endpoint, tls = endpoint_and_tls
    with connect(endpoint, tls) as client:
        client.sendall(head(**{"Ocp-Apim-Subscription-Key": "wrong"}))
        client.sendall(chunk(bytes(HALF)) * 100 + b"0\r\n\r\n")
        answer = read_answer(client)
        assert (answer.status, b"Access denied" in answer.read()) == (401, True)
        answer.close()


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_connection_is_reset_before_during_or_after_the_body(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None], when: str
) -> None:
    endpoint, tls = endpoint_and_tls
    endpoint.faults.append(Fault.reset(when))  # type: ignore[arg-type]
    parts = {"before": b"", "during": chunk(b"x"), "after": chunk(wav(tone(0.1))) + b"0\r\n\r\n"}
    with connect(endpoint, tls) as client:
        client.sendall(head() + parts[when])
        # Before 3.13, a reset under TLS looks like an end without a close notification (cpython 115627).
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError) if tls else ConnectionResetError):
            read_to_the_end(client)
    assert endpoint.received[0].status == 0


def test_a_connection_is_closed_without_an_answer(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.close())
    with pytest.raises(requests.ConnectionError, match="RemoteDisconnected"):
        post()
    assert post().status_code == 200


def test_an_answer_is_truncated(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.truncated())
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        post()


def test_json_is_cut_off_inside_valid_http(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.cut_json())
    answer = post()
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_200_can_be_empty(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.empty())
    answer = post()
    assert (answer.status_code, answer.content) == (200, b"")


def test_bytes_that_are_not_http_can_be_the_answer(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.garbage())
    with pytest.raises(requests.ConnectionError, match="BadStatusLine"):
        post()


def test_the_right_answer_comes_late(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.slow(0.3))
    started = time.monotonic()
    assert post().json()["DisplayText"] == "Hello world."
    assert time.monotonic() - started >= 0.3


def test_the_right_answer_comes_byte_by_byte(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.dripping(0.001))
    started = time.monotonic()
    assert post().json()["DisplayText"] == "Hello world."
    assert time.monotonic() - started >= 0.1


def test_a_redirect_leads_elsewhere(speech: SpeechEndpoint, post: Post) -> None:
    speech.faults.append(Fault.redirect("http://127.0.0.1:9/elsewhere"))
    answer = post()
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize("status", ["Error", "NoMatch", "BabbleTimeout"])
def test_a_given_document_is_the_answer(speech: SpeechEndpoint, post: Post, status: str) -> None:
    speech.faults.append(Fault.document({"RecognitionStatus": status, "Offset": 0, "Duration": 0}))
    assert post().json()["RecognitionStatus"] == status


def test_a_client_that_resets_during_its_body_does_no_harm(
    endpoint_and_tls: tuple[SpeechEndpoint, ssl.SSLContext | None],
) -> None:
    endpoint, tls = endpoint_and_tls
    with connect(endpoint, tls) as client:
        client.sendall(head() + chunk(bytes(HALF)))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connect(endpoint, tls) as client:
        client.sendall(head() + chunk(wav(tone(0.1))) + b"0\r\n\r\n")
        answer = read_answer(client)
        assert answer.status == 200
        answer.close()
