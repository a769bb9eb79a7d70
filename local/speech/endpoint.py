"""The local stand-in for Azure's "Speech to text REST API for short audio". It is strict about the protocol.

It serves demos, tests and benchmarks. It refuses what the service refuses, and also mistakes that the service accepts
and its users regret. It stops at pauses, as the service is reported to do, and makes the faults that tests ask for.
"""

import logging
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

import h11

from local.speech.access import Access, Entra
from local.speech.answers import Answer, Style, pause_of, recognition
from local.speech.behaviour import ASSUMED, Behaviour
from local.speech.checks import RECOGNITION_PATH, Refusal, assessment, check_recognition, samples
from local.speech.faults import Fault
from local.speech.quota import Quota
from local.speech.recognizer import RecognitionFailed, Recognizer
from local.speech.tokens import LIFETIME_SECONDS
from local.speech.wire import ClientGone, Received, Wire
from transcription.audio.pcm import BYTES_PER_SECOND

TOKEN_PATH = "/sts/v1.0/issueToken"  # noqa: S105  # a path, not a password
BACKLOG = 512
STOP_SECONDS = 5.0

log = logging.getLogger("local.speech")


class SpeechEndpoint:
    """A server on a loopback port, with one thread per connection; a context manager.

    recognizer: turns samples into words. key: None disables keys. entra: an identity that may use the endpoint.
    behaviour: what it does where documents leave that open. models: the custom models that exist; None for any.
    latency: seconds of audio → seconds to wait before the answer. keep_audio: whether `received` keeps the bodies.
    received: all requests, including those for tokens, in order of arrival. connections: accepted TCP connections.
    quota: recognitions in progress at once, from all clients; more are refused with 429 once their head was read. With
    `quota_retry_after`, the refusals ask to wait that many seconds. The attribute `quota` has the counts.
    faults: each applies to one request, in order. Those without a path apply to recognition requests with a valid head.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        *,
        key: str | None = "local-key",
        entra: Entra | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        behaviour: Behaviour = ASSUMED,
        models: Collection[str] | None = None,
        latency: Callable[[float], float] | None = None,
        token_seconds: float = LIFETIME_SECONDS,
        keep_audio: bool = True,
        quota: int | None = None,
        quota_retry_after: int | None = None,
    ) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.faults: deque[Fault] = deque()
        self.quota = Quota(quota, quota_retry_after)
        self._recognizer = recognizer
        self._port = port
        self._tls = tls
        self._behaviour = behaviour
        self._models = models
        self._latency = latency
        self._access = Access(key, token_seconds, entra)
        self._keep_audio = keep_audio
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: dict[threading.Thread, Wire] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        """Return the base URL. With TLS its host is `localhost`, because certificates name a host."""
        return f"https://localhost:{self._port}" if self._tls else f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=BACKLOG)
        self._port = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, name="speech-accept", daemon=True)
        self._acceptor.start()
        log.info("Speech stand-in on %s: a local imitation for trying and testing, not Azure's service", self.url)

    def stop(self) -> None:
        """Close every connection and end every thread. Wait a few seconds for recognitions in progress."""
        self._stopping.set()
        self._wake.close()
        self._acceptor.join()
        self._woken.close()
        with self._lock:
            threads = dict(self._threads)
        for wire in threads.values():
            wire.shut()
        for thread in threads:
            thread.join(STOP_SECONDS)

    def revoke_tokens(self) -> None:
        """Refuse all tokens issued so far."""
        self._access.revoke_tokens()

    def _accept(self) -> None:
        with self._listener as listener, selectors.DefaultSelector() as selector:
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                try:
                    client, _ = listener.accept()
                except OSError:  # woken to stop, or the client has already gone
                    continue
                self._start_serving(client)

    def _start_serving(self, client: socket.socket) -> None:
        self.connections += 1
        wire = Wire(client, self._stopping)
        thread = threading.Thread(
            target=self._serve, args=(wire, self.connections), name=f"speech-{self.connections}", daemon=True
        )
        with self._lock:
            self._threads[thread] = wire
        thread.start()

    def _serve(self, wire: Wire, connection: int) -> None:
        try:
            if self._tls is not None:
                wire.secure(self._tls)
            while (request := wire.request()) is not None and not self._stopping.is_set():
                self._exchange(wire, self._record(request, connection))
            wire.linger()
        except h11.RemoteProtocolError as error:
            self._refuse_malformed(wire, error)
        except (OSError, ClientGone) as error:
            log.debug("connection %d: %r", connection, error)
        finally:
            wire.close()
            with self._lock:
                del self._threads[threading.current_thread()]

    def _record(self, request: h11.Request, connection: int) -> Received:
        path, _, query = request.target.decode("latin-1").partition("?")
        parameters = parse_qsl(query, keep_blank_values=True)
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        method = request.method.decode()
        received = Received(method, path, dict(parameters), headers, connection, parameters, self._keep_audio)
        self.received.append(received)
        return received

    def _exchange(self, wire: Wire, received: Received) -> None:
        with ExitStack() as place:
            try:
                respond = self._route(wire, received, place)
                self._next_fault(received.path).play(wire, received, respond)
            except Refusal as refusal:
                received.finish(wire.body, refusal.status)
                wire.answer(refusal.answer(self._behaviour))
            finally:
                if not received.ended:
                    received.finish(wire.body, 0)

    def _route(self, wire: Wire, received: Received, place: ExitStack) -> Callable[[], Answer]:
        """Check a request's head, and return the function that answers it once its body has arrived.

        A recognition takes a place of the quota, until its answer is known or `place` is closed.
        Raises Refusal if the head is wrong, or no place is free.
        """
        is_token = received.path == TOKEN_PATH
        if not is_token and not RECOGNITION_PATH.fullmatch(received.path):
            raise Refusal(404, "Resource not found")
        if received.method != "POST":
            raise Refusal(405, "Method not allowed", {"Allow": "POST"})
        self._access.check(received.headers, tokens=not is_token)
        if is_token:
            return lambda: self._token(wire)
        check_recognition(received.parameters, received.headers)
        self._check_options(received.query)
        place.enter_context(self.quota.place())

        def recognize() -> Answer:
            with place:
                return self._recognition(wire, received)

        return recognize

    def _token(self, wire: Wire) -> Answer:
        if wire.body.content:
            raise Refusal(400, "a request for a token must have an empty body")
        return Answer(200, self._access.issue_token().encode(), {"Content-Type": "application/jwt; charset=us-ascii"})

    def _recognition(self, wire: Wire, received: Received) -> Answer:
        pcm = samples(wire.body, received.headers, self._behaviour)
        try:
            words = self._recognizer.words(pcm, received.query["language"])
        except RecognitionFailed as error:
            log.warning("recognition failed: %s", error)
            return Answer.document({"RecognitionStatus": "Error"})
        if self._latency is not None:
            wire.wait(self._latency(len(pcm) / BYTES_PER_SECOND))
        style = Style.of(received.query, self._behaviour, assessment(received.headers))
        pause = pause_of(received.query, self._behaviour)
        return Answer.document(recognition(pcm, words, style, self._behaviour, pause))

    def _check_options(self, query: Mapping[str, str]) -> None:
        """Raise Refusal if the query asks for a model that does not exist, or for what the behaviour refuses."""
        if self._models is not None and "cid" in query and query["cid"] not in self._models:
            raise Refusal(400, "there is no such model", kind="model")
        if "wordLevelTimestamps" in query and self._behaviour.word_times == "refused":
            raise Refusal(400, "the query parameter wordLevelTimestamps is not supported")
        if query.get("profanity") == "removed" and self._behaviour.profanity == "refused":
            raise Refusal(400, "the query parameter profanity is not supported")

    def _next_fault(self, path: str) -> Fault:
        with self._lock:
            for fault in self.faults:
                if fault.path == path or (fault.path is None and path != TOKEN_PATH):
                    self.faults.remove(fault)
                    return fault
        return Fault.none()

    def _refuse_malformed(self, wire: Wire, error: h11.RemoteProtocolError) -> None:
        refusal = Refusal(error.error_status_hint, str(error))
        with suppress(OSError):
            if wire.may_answer():
                wire.answer(refusal.answer(self._behaviour))
        wire.linger()
