"""One pooled HTTP session for the process, and two workarounds that make early answers readable.

The service may answer 401 or 429 and close while the audio is still being sent. urllib3 then reads that answer if the
send failed with BrokenPipeError. Over TLS, however, Python 3.11 and 3.12 report the same event as SSLEOFError, the
answer is lost, and a refused key looks like a passing fault of the network (urllib3 #2733 and #3382, cpython
#115627).
"""

import os
import ssl
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.poolmanager import PoolManager, pool_classes_by_scheme

# Measured with a 60 s clip: from 16 to 64 KiB each doubling saves CPU, beyond that nothing is gained, and a chunk
# should not be so large that recognition waits for it (64 KiB is two seconds of audio).
CHUNK_BYTES = 64 * 1024


def open_session(url: str, connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to the host of `url`, and never retries by itself.

    A transport-level retry would send an already consumed body, empty, and the service may well answer 200 to it. The
    environment (proxies, a private CA bundle) is read here once instead of with each request.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = dict(get_environ_proxies(url))
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    adapter = _EarlyAnswerAdapter(pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def in_chunks(first: bytes, audio: bytes) -> Iterator[bytes]:
    """A request body: `first` (the file's header) leads the first chunk. Make a new one for every try."""
    head = max(0, CHUNK_BYTES - len(first))
    yield first + audio[:head]
    for start in range(head, len(audio), CHUNK_BYTES):
        yield audio[start : start + CHUNK_BYTES]


class _EarlyAnswerConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as closed:
            raise BrokenPipeError("the peer closed the connection while the body was being sent") from closed


class _EarlyAnswerPool(HTTPSConnectionPool):
    ConnectionCls = _EarlyAnswerConnection


class _EarlyAnswerAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {**pool_classes_by_scheme, "https": _EarlyAnswerPool}
