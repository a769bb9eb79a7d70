"""The cost of sending, in chunks and CPU, compared with the documentation's sample and with a raw socket."""

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

from bench.children import KEY, WORK, Latency, authority_file, python, speech_service, speech_settings
from bench.recordings import wav, without_pauses
from bench.results import Row, figure, milliseconds, ratios
from bench.sender import HEADERS, RECOGNITION, SECONDS, WAV_HEADER_BYTES
from local.progress import say
from local.speech import Received
from local.speech.process import SpeechProcess
from transcription.clock import SystemClock
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
NO_WAIT = Latency()

Send = Callable[[], None]


def rows() -> Iterator[Row]:
    WORK.mkdir(parents=True, exist_ok=True)
    file = WORK / "clip.wav"
    file.write_bytes(wav(without_pauses(CLIP_SECONDS)))
    with speech_service(NO_WAIT) as plain:
        yield chunks(plain, file)
    for tls in (False, True):
        with speech_service(NO_WAIT, tls=tls) as service:
            yield processes(service, file, tls=tls)
            check_received(service, file, 2 * PAIRS * CLIPS)
        with speech_service(NO_WAIT, tls=tls) as service:
            yield in_process(service, file, tls=tls)
            check_received(service, file, 2 * ROUNDS * (1 + CLIPS_A_ROUND))


def check_received(service: SpeechProcess, file: Path, count: int) -> list[Received]:
    """Return all that the service received.

    Raises RuntimeError if that is not `count` times the file, byte for byte, each recognised.
    """
    received = service.received()
    expected = (hashlib.sha256(file.read_bytes()).hexdigest(), 200)
    if [(request.sha256, request.status) for request in received] != [expected] * count:
        raise RuntimeError(f"the service did not receive and recognise {count} times the same clip")
    return received


def chunks(service: SpeechProcess, file: Path) -> Row:
    for sender in ("ours", "sample"):
        send(sender, service, file, 1)
    ours, sample = check_received(service, file, 2)
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


def processes(service: SpeechProcess, file: Path, *, tls: bool) -> Row:
    """Measure the CPU time of whole processes, including their imports."""
    ours, sample = [], []
    for pair in range(PAIRS):
        say(f"  {CLIPS} clips by one process each, {_protocol(tls)}: pair {pair + 1} of {PAIRS}")
        ours.append(send("ours", service, file, CLIPS))
        sample.append(send("sample", service, file, CLIPS))
    return Row(
        f"CPU of a process that sends {CLIPS} such clips, {_protocol(tls)}",
        "the documentation's sample",
        f"{figure(median(ours))} s",
        f"{figure(median(sample))} s",
        ratios(ours, sample),
        "×",
        0.35,
    )


def send(sender: str, service: SpeechProcess, file: Path, count: int) -> float:
    """Send the file from a new process, and return the CPU seconds of that process."""
    arguments = ("-m", "bench.sender", sender, service.url, str(file), str(count))
    return python(*arguments, environment=speech_settings(service.url)).cpu_seconds


def in_process(service: SpeechProcess, file: Path, *, tls: bool) -> Row:
    """Measure the CPU time of this process, all threads, in turns."""
    say(f"  {ROUNDS} × {CLIPS_A_ROUND} clips in one process, {_protocol(tls)}")
    pcm = file.read_bytes()[WAV_HEADER_BYTES:]
    usage = Usage()
    with mock.patch.dict(os.environ, speech_settings(service.url)):
        client = SpeechClient(Settings.read(os.environ).speech, SystemClock())

    def send_ours() -> None:
        client.recognize(as_wav(pcm), RecognitionOptions("en-US", "masked"), usage.sent, SECONDS)

    with raw_socket(service, tls=tls) as connection:
        send_raw = partial(send_by_socket, connection, service.port, pcm)
        turns = [(cpu_per_clip(send_ours), cpu_per_clip(send_raw)) for _ in range(ROUNDS)]
    ours, raw = [ours for ours, _ in turns], [raw for _, raw in turns]
    return Row(
        f"CPU a clip in process, {_protocol(tls)}",
        "a raw socket that sends the same",
        milliseconds(ours),
        milliseconds(raw),
        ratios(ours, raw),
        "×",
        1.5 if tls else 2.5,
    )


def cpu_per_clip(send: Send) -> float:
    """Return the CPU seconds of one clip. The first clip does not count: it may open a connection."""
    send()
    started = time.process_time()
    for _ in range(CLIPS_A_ROUND):
        send()
    return (time.process_time() - started) / CLIPS_A_ROUND


@contextmanager
def raw_socket(service: SpeechProcess, *, tls: bool) -> Iterator[socket.socket]:
    with socket.create_connection(("localhost" if tls else "127.0.0.1", service.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not tls:
            yield connection
            return
        context = ssl.create_default_context(cafile=str(authority_file()))
        with context.wrap_socket(connection, server_hostname="localhost") as secured:
            yield secured


def send_by_socket(connection: socket.socket, port: int, pcm: bytes) -> None:
    """Send the same body in the same chunks with the fewest headers, and read the answer without parsing it."""
    headers = {"Host": f"localhost:{port}", "Ocp-Apim-Subscription-Key": KEY, **HEADERS}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"POST {RECOGNITION}?language=en-US&format=detailed HTTP/1.1\r\n{lines}\r\n".encode())
    for chunk in in_chunks(as_wav(pcm).header, pcm):
        connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    connection.sendall(b"0\r\n\r\n")
    answer = b""
    while b"RecognitionStatus" not in answer:  # "100 Continue" comes first
        answer += connection.recv(64 * 1024)


def _protocol(tls: bool) -> str:
    return "TLS" if tls else "plain"
