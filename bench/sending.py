"""What sending costs: chunks and CPU, next to the documentation's sample and to a raw socket."""

import hashlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from unittest import mock

from bench.children import WORK, Service, authority, python, service, speech_settings
from bench.recordings import wav, without_pauses
from bench.results import Row, figure, milliseconds, ratios
from bench.service import Request
from local.progress import say
from transcription.clock import Budget, SystemClock
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import as_wav
from transcription.speech.transport import in_chunks
from transcription.transcript.model import Usage

CLIP_SECONDS = 60.0
CLIPS = 49
PAIRS = 5  # of processes
ROUNDS = 15  # in one process
CLIPS_A_ROUND = 8

Send = Callable[[], None]


def rows() -> Iterator[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / "clip.wav"
    file.write_bytes(wav(without_pauses(CLIP_SECONDS)))
    with service() as plain:
        yield chunks(plain, file)
    for tls in (False, True):
        with service(tls=tls) as there:
            yield processes(there, file, tls=tls)
            arrived(there, file, 2 * PAIRS * CLIPS)
        with service(tls=tls) as there:
            yield in_process(there, file, tls=tls)
            arrived(there, file, 2 * ROUNDS * (1 + CLIPS_A_ROUND))


def arrived(there: Service, file: Path, count: int) -> list[Request]:
    """All that the service got. RuntimeError: not so many clips, or other bytes than there are in the file."""
    requests = there.requests()
    if [request.sha256 for request in requests] != [hashlib.sha256(file.read_bytes()).hexdigest()] * count:
        raise RuntimeError("the clips did not arrive as they were to be sent")
    return requests


def chunks(there: Service, file: Path) -> Row:
    for sender in ("ours", "sample"):
        send(sender, there, file, 1)
    ours, sample = arrived(there, file, 2)
    return Row(
        "chunks sent for a 60 s clip, the same bytes by hash",
        "the documentation's sample",
        f"{ours.chunks}",
        f"{sample.chunks}",
        [sample.chunks / ours.chunks],
        "× fewer",
        50,
        at_least=True,
    )


def processes(there: Service, file: Path, *, tls: bool) -> Row:
    """CPU of whole processes, what they import included."""
    ours, sample = [], []
    for pair in range(PAIRS):
        say(f"  {CLIPS} clips by one process each, {_wire(tls)}: pair {pair + 1} of {PAIRS}")
        ours.append(send("ours", there, file, CLIPS))
        sample.append(send("sample", there, file, CLIPS))
    return Row(
        f"CPU of a process that sends {CLIPS} such clips, {_wire(tls)}",
        "the documentation's sample",
        f"{figure(median(ours))} s",
        f"{figure(median(sample))} s",
        ratios(ours, sample),
        "×",
        0.25,
    )


def send(sender: str, there: Service, file: Path, count: int) -> float:
    """CPU seconds."""
    arguments = ("-m", "bench.sender", sender, there.url, str(file), str(count))
    return python(*arguments, environment=speech_settings(there.url)).cpu_seconds


def in_process(there: Service, file: Path, *, tls: bool) -> Row:
    """CPU of this process, all threads, turn by turn."""
    say(f"  {ROUNDS} × {CLIPS_A_ROUND} clips in one process, {_wire(tls)}")
    pcm = file.read_bytes()[44:]
    clock = SystemClock()
    with mock.patch.dict(os.environ, speech_settings(there.url)):
        client = SpeechClient(Settings.read(os.environ).speech, clock)

    def ours() -> None:
        client.recognize(as_wav(pcm), RecognitionOptions("en-US", "masked"), Usage(), Budget(clock, 60, "clip"))

    with raw_socket(there, tls=tls) as connection:
        bare = partial(send_bare, connection, there.port, pcm)
        turns = [(cpu(ours), cpu(bare)) for _ in range(ROUNDS)]
    taken, floor = [one for one, _ in turns], [other for _, other in turns]
    return Row(
        f"CPU a clip in process, {_wire(tls)}",
        "a raw socket that sends the same",
        milliseconds(taken),
        milliseconds(floor),
        ratios(taken, floor),
        "×",
        1.5 if tls else 2.5,
    )


def cpu(send: Send) -> float:
    """Seconds for one clip. The first is not counted: it may find a connection to open."""
    send()
    started = time.process_time()
    for _ in range(CLIPS_A_ROUND):
        send()
    return (time.process_time() - started) / CLIPS_A_ROUND


@contextmanager
def raw_socket(there: Service, *, tls: bool) -> Iterator[socket.socket]:
    with socket.create_connection(("localhost" if tls else "127.0.0.1", there.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not tls:
            yield connection
            return
        context = ssl.create_default_context(cafile=str(authority()))
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            yield secured


def send_bare(connection: socket.socket, port: int, pcm: bytes) -> None:
    """The same body in the same chunks, with the least that a request needs, and its answer, without a look at it."""
    connection.sendall(
        b"POST /speech/recognition/conversation/cognitiveservices/v1?language=en-US&format=detailed HTTP/1.1\r\n"
        b"Host: localhost:%d\r\nContent-Type: audio/wav; codecs=audio/pcm; samplerate=16000\r\n"
        b"Accept: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" % port
    )
    for chunk in in_chunks(as_wav(pcm).header, pcm):
        connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    connection.sendall(b"0\r\n\r\n")
    connection.recv(64 * 1024)


def _wire(tls: bool) -> str:
    return "TLS" if tls else "plain"
