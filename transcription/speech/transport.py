"""One pool of connections for the process, which reads early answers and waits for no answer too long.

requests chooses the pool: proxies, a private authority, TLS. What is posted goes to urllib3's pool itself, because
requests' way there takes as much CPU time as a minute of audio does.

The service may answer 401 or 429 and close while the audio is still being sent. urllib3 then reads that answer if the
send failed with BrokenPipeError. Over TLS, however, Python 3.11 and 3.12 report the same event as SSLEOFError, the
answer is lost, and a refused key looks like a passing fault of the network (urllib3 #2733 and #3382, cpython
#115627).
"""

import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationValueError
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util import Timeout

from transcription.errors import Misconfigured

# Measured with a 60 s clip: from 16 to 64 KiB each doubling saves CPU, beyond that nothing is gained, and a chunk
# should not be so large that recognition waits for it (64 KiB is two seconds of audio).
CHUNK_BYTES = 64 * 1024


class Transport:
    """Keeps up to `connections` connections to each host, and never retries by itself.

    A transport-level retry would send an already consumed body, empty, and the service may well answer 200 to it.
    Misconfigured: the private authority's file is not there.
    """

    def __init__(self, connections: int) -> None:
        self._adapter = _Adapter(pool_maxsize=connections)
        self._authorities = _authorities()
        self._routes: dict[str, tuple[HTTPConnectionPool, str]] = {}

    def post(
        self,
        url: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: Iterable[bytes] | bytes,
        timeout: Timeout,
    ) -> BaseHTTPResponse:
        """The answer, of which no more than the head is read. Close it.

        Misconfigured: nothing can be sent to this address. The network's errors are urllib3's.
        """
        try:
            pool, target = self._routes.get(url) or self._route(url)
            return pool.urlopen(
                "POST",
                f"{target}?{urlencode(query)}" if query else target,
                body=body,
                headers={**headers, "Accept-Encoding": "identity"},  # answers are then as large as they seem
                chunked=not isinstance(body, bytes),
                timeout=timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,  # with a proxy, the target is the whole address
                preload_content=False,
            )
        except (requests.RequestException, LocationValueError) as error:  # their text may hold a proxy's password
            raise Misconfigured(
                f"No request can be made to {url}: check the endpoint, or this machine's proxy settings"
                f" ({type(error).__name__})."
            ) from None

    def _route(self, url: str) -> tuple[HTTPConnectionPool, str]:
        """The pool for this address and what to ask it for. The environment is looked at here, once."""
        request = requests.Request("POST", url).prepare()
        proxies = dict(get_environ_proxies(url))
        pool = self._adapter.get_connection_with_tls_context(request, self._authorities, proxies=proxies)
        self._adapter.cert_verify(pool, url, self._authorities, None)
        self._routes[url] = pool, self._adapter.request_url(request, proxies)
        return self._routes[url]


def _authorities() -> str | bool:
    """A file of authorities, or True for the usual ones."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise Misconfigured("REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) names a file that is not there.")
    return bundle or True


def in_chunks(first: bytes, audio: bytes) -> Iterator[bytes]:
    """A request body: `first` (the file's header) leads the first chunk. Make a new one for every try."""
    head = max(0, CHUNK_BYTES - len(first))
    yield first + audio[:head]
    for start in range(head, len(audio), CHUNK_BYTES):
        yield audio[start : start + CHUNK_BYTES]


class _Watch:
    """Hangs up on peers that are late. One thread for all connections: a timer for each request would be a thread for
    each, and a sixth of its CPU time.
    """

    def __init__(self) -> None:
        self._due: dict[socket.socket, float] = {}
        self._wakes = 0.0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, connection: socket.socket, seconds: float) -> Iterator[None]:
        """Make the block fail as if the peer had hung up, once it has taken so long."""
        due = time.monotonic() + seconds
        with self._changed:
            self._due[connection] = due
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="late-answers", daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(connection, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for connection in [late for late, due in self._due.items() if due <= now]:
                    del self._due[connection]
                    with suppress(OSError):  # it is closed already
                        socket.socket.shutdown(connection, socket.SHUT_RDWR)
                self._wakes = min(self._due.values(), default=math.inf)
                self._changed.wait(None if self._wakes == math.inf else self._wakes - now)


_WATCH = _Watch()


class _Timed(HTTPConnection):
    """Limits the time until the answer's head is there: a read timeout begins anew with every byte."""

    def getresponse(self) -> Any:
        plain = getattr(self.sock, "socket", self.sock)  # through a proxy that speaks TLS too, urllib3 wraps TLS in TLS
        with _WATCH.limit(plain, float(self.timeout or 0)):
            return super().getresponse()


class _EarlyAnswer(_Timed, HTTPSConnection):
    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as closed:
            raise BrokenPipeError("the peer closed the connection while the body was being sent") from closed


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Timed


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _EarlyAnswer


class _Adapter(HTTPAdapter):
    """Its connections are ours, with a proxy or without. (SOCKS keeps its own: they make the tunnel.)"""

    _POOLS: ClassVar = {"http": _Pool, "https": _TlsPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self._POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = self._POOLS
        return manager
