"""A Speech service that costs little, in a process of its own: `python -m bench.service`.

Unlike `local.speech` it checks nothing and hears `hello world` in everything, so that a small machine can measure its
clients. It counts what they send. A line on standard input asks for a report, which is a line on standard output; the
end of the input ends it.
"""

import argparse
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass
from io import BufferedReader

BYTES_PER_SECOND = 32_000
WAV_HEADER_BYTES = 44
TICKS = 10_000_000  # per second
BACKLOG = 512


@dataclass(frozen=True)
class Request:
    """`began` and `answered` are on the monotonic clock, which all processes of a machine share; `waited` is the time
    that the service itself took.
    """

    connection: int
    chunks: int
    sha256: str
    audio_seconds: float
    began: float
    answered: float
    waited: float


class Service:
    def __init__(self, fixed_seconds: float, seconds_per_second: float, tls: ssl.SSLContext | None) -> None:
        self.requests: list[Request] = []
        self._fixed, self._share, self._tls = fixed_seconds, seconds_per_second, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]

    def accept(self) -> None:
        connection = 0
        while True:
            client, _ = self._listener.accept()
            connection += 1
            threading.Thread(target=self._serve, args=(client, connection), daemon=True).start()

    def _serve(self, client: socket.socket, connection: int) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, client.makefile("rb") as stream:
                while head := _head(stream):
                    client.sendall(self._answer(stream, head, connection))
        except OSError:
            pass  # a client that has what it wants may go as it likes

    def _answer(self, stream: BufferedReader, head: dict[str, str], connection: int) -> bytes:
        began, digest, chunks, size = time.monotonic(), hashlib.sha256(), 0, 0
        for chunk in _body(stream, head):
            chunks, size = chunks + 1, size + len(chunk)
            digest.update(chunk)
        seconds = max(0, size - WAV_HEADER_BYTES) / BYTES_PER_SECOND
        waited = self._fixed + self._share * seconds
        time.sleep(waited)
        body = json.dumps(_recognition(seconds)).encode()
        request = Request(connection, chunks, digest.hexdigest(), seconds, began, time.monotonic(), waited)
        self.requests.append(request)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _head(stream: BufferedReader) -> dict[str, str]:
    """Header → value; nothing where the client is done."""
    if not stream.readline():
        return {}
    head = {"": "there is one"}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        head[name.lower()] = value.strip()
    return head


def _body(stream: BufferedReader, head: dict[str, str]) -> "list[bytes]":
    """The body in the chunks that it was sent in; one where it was not."""
    if "chunked" not in head.get("transfer-encoding", ""):
        return [stream.read(int(head.get("content-length", "0")))]
    chunks = []
    while size := int(stream.readline(), 16):
        chunks.append(stream.read(size))
        stream.readline()
    stream.readline()
    return chunks


def _recognition(seconds: float) -> dict[str, object]:
    """The detailed answer of two words that cover the clip."""
    half = round(seconds / 2 * TICKS)
    words = [{"Word": word, "Offset": at, "Duration": half} for word, at in (("hello", 0), ("world", half))]
    best = {"Confidence": 0.9, "Lexical": "hello world", "ITN": "hello world", "MaskedITN": "hello world"}
    return {
        "RecognitionStatus": "Success",
        "Offset": 0,
        "Duration": 2 * half,
        "DisplayText": "Hello world.",
        "NBest": [{**best, "Display": "Hello world.", "Words": words}],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", type=float, default=0.0, help="seconds that each answer takes")
    parser.add_argument("--share", type=float, default=0.0, help="and for each second of audio")
    parser.add_argument("--certificate", help="PEM file with key and certificate: speak TLS")
    asked = parser.parse_args()
    tls = None
    if asked.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(asked.certificate)
    service = Service(asked.fixed, asked.share, tls)
    threading.Thread(target=service.accept, daemon=True).start()
    print(service.port, flush=True)
    for _ in sys.stdin:
        print(json.dumps([asdict(request) for request in service.requests]), flush=True)


if __name__ == "__main__":
    main()
