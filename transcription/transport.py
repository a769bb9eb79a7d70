"""One pooled HTTP session for the process, which reads early answers and waits for no answer too long.

The service may answer 401 or 429 and close while the audio is still being sent. urllib3 then reads that answer if the
send failed with BrokenPipeError. Over TLS, however, Python 3.11 and 3.12 report the same event as SSLEOFError, the
answer is lost, and a refused key looks like a passing fault of the network (urllib3 #2733 and #3382, cpython
#115627).
"""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.poolmanager import PoolManager

from transcription.errors import Misconfigured

# Measured with a 60 s clip: from 16 to 64 KiB each doubling saves CPU, beyond that nothing is gained, and a chunk
# should not be so large that recognition waits for it (64 KiB is two seconds of audio).
CHUNK_BYTES = 64 * 1024


def open_session(url: str, connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to the host of `url`, and never retries by itself.

    A transport-level retry would send an already consumed body, empty, and the service may well answer 200 to it. The
    environment (proxies, a private CA bundle) is read here once instead of with each request. Misconfigured: the bundle
    is not there.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = dict(get_environ_proxies(url))
    session.headers["Accept-Encoding"] = "identity"  # answers are small, and then as large as they seem
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise Misconfigured("REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) names a file that is not there.")
    session.verify = bundle or True
    adapter = _Adapter(pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def in_chunks(first: bytes, audio: bytes) -> Iterator[bytes]:
    """A request body: `first` (the file's header) leads the first chunk. Make a new one for every try."""
    head = max(0, CHUNK_BYTES - len(first))
    yield first + audio[:head]
    for start in range(head, len(audio), CHUNK_BYTES):
        yield audio[start : start + CHUNK_BYTES]


class _Timed(HTTPConnection):
    """Hangs up on a peer whose answer's head is not there in time: a read timeout begins anew with every byte."""

    def getresponse(self) -> Any:
        hang_up = threading.Timer(float(self.timeout or 0), self._hang_up, [self.sock])
        hang_up.start()
        try:
            return super().getresponse()
        finally:
            hang_up.cancel()

    @staticmethod
    def _hang_up(connection: socket.socket) -> None:
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


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
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
