"""Sends requests and returns whole answers, through one requests session for the process."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.poolmanager import PoolManager

from transcription.errors import Misconfigured
from transcription.speech.connections import Pool, TlsPool, is_about_service
from transcription.speech.exchanges import (
    EXCHANGES,
    MAX_ANSWER_BYTES,
    ExchangeFailed,
    NotAcknowledged,
    OutOfOrder,
    TooLongAnswer,
    TooSlow,
)

CHUNK_BYTES = 64 * 1024  # two seconds of audio; from 16 KiB each doubling saves CPU, beyond this nothing is gained
READ_BYTES = 64 * 1024
MAX_SILENCES = 3  # without any acknowledgement; then assume that the peer never sends one


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Keeps up to `connections` connections to each host. Never retries.

    A retry below the caller would send a consumed body again, empty, and the service may well answer 200 to it.
    The environment's proxies and certificate authorities are read once: looking them up costs CPU with each request.
    """

    def __init__(self, connections: int) -> None:
        """Open no connection yet.

        Raises Misconfigured if the file of certificate authorities does not exist.
        """
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = _certificate_authorities()
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _Adapter(pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        self._connections = connections
        self._acknowledges = False  # whether the peer ever did
        self._silences = 0
        self._proxies: dict[str, dict[str, str]] = {}

    def post(
        self,
        url: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: Iterable[bytes] | bytes,
        timeout: tuple[float, float],
        seconds: float,
    ) -> Reply:
        """Send one request and return its answer. Sends `body` in chunks unless it is bytes.

        `timeout` limits connecting to each address, and the silence of the peer. `seconds` limits everything from the
        first byte to the last.
        Raises ExchangeFailed, or an error of requests.
        """
        with EXCHANGES.within(seconds) as exchange:
            try:
                response = self._respond(
                    url,
                    {**headers, "Accept-Encoding": "identity"},  # answers are then as large as they seem
                    params=list(query),
                    data=body,
                    timeout=timeout,
                    proxies=self._proxies_for(url),
                    allow_redirects=False,
                    stream=True,
                )
                reply = _whole(response)
            except (requests.RequestException, ExchangeFailed):
                if exchange.late:
                    raise TooSlow from None
                raise
        if exchange.late:  # an answer without a length just ends when its connection is shut down
            raise TooSlow
        self._acknowledges = self._acknowledges or exchange.acknowledged
        if not exchange.answered_early:
            return reply
        if not is_about_service(reply.status):
            raise OutOfOrder
        return replace(reply, body=b"")  # its words may still be about another clip

    def _respond(self, url: str, headers: dict[str, str], **request: Any) -> requests.Response:
        """Send the request over a fit connection and return the response. Only its head has been read."""
        if self._silences >= MAX_SILENCES and not self._acknowledges:
            headers = {**headers, "Connection": "close"}
        for _ in range(self._connections):
            try:
                return self._session.post(url, headers=headers, **request)
            except NotAcknowledged as refusal:  # the pool has dropped that connection, and the body is untouched
                self._silences += refusal.silent
        return self._session.post(url, headers=headers, **request)

    def _proxies_for(self, url: str) -> dict[str, str]:
        if url not in self._proxies:
            self._proxies[url] = dict(get_environ_proxies(url))
        return self._proxies[url]


def _whole(response: requests.Response) -> Reply:
    """Read the response to its end. Raises TooLongAnswer if it has too many bytes."""
    with closing(response):
        content = bytearray()
        for piece in response.iter_content(READ_BYTES):
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise TooLongAnswer
    return Reply(response.status_code, response.headers, bytes(content))


def _certificate_authorities() -> str | bool:
    """Return the file that the environment names, or True for the usual authorities."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise Misconfigured("REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE) names a file that does not exist.")
    return bundle or True


def in_chunks(header: bytes, audio: bytes) -> Iterator[bytes]:
    """Yield a request body. The file's header leads the first chunk. Make a new one for every try."""
    head = max(0, CHUNK_BYTES - len(header))
    yield header + audio[:head]
    for start in range(head, len(audio), CHUNK_BYTES):
        yield audio[start : start + CHUNK_BYTES]


class _Adapter(HTTPAdapter):
    """Uses our connections, with a proxy or without. SOCKS is refused: its package is not deployed."""

    _POOLS: ClassVar = {"http": Pool, "https": TlsPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = self._POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._POOLS
        return manager
