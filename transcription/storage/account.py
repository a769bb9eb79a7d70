"""The storage account: one client for the process, bounded retries, and errors without addresses.

The SDK retries 408 and 5xx by itself, for minutes by default. Its retries are limited to seconds here, because the host
redelivers a failed upload anyway. An address may contain a SAS, so addresses stay out of logs, and `StorageFailed` is
raised in place of the SDK's errors.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import getproxies

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ServiceResponseError
from azure.storage.blob import BlobClient, BlobServiceClient
from urllib3.exceptions import HTTPError

from transcription.clock import Clock
from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.settings.secrets import Secrets
from transcription.storage.refusals import advice, code_of, is_lasting

T = TypeVar("T")

log = logging.getLogger(__name__)

BLOCK_BYTES = 2 << 20  # bytes of one read; the SDK's own first read is 32 MiB
READ_TRIES = 3  # of one read whose TLS connection breaks; immediate, because each opens a new connection
QUOTED = 300  # characters of an error's line that a message repeats; four times as many are searched for secrets
QUOTED_PATH = 200  # characters of the path of a refused request that a message repeats
WRITE_WAITS = (2.0, 10.0, 30.0)  # seconds between writes of one output, on top of the SDK's own retries
CACHED_CLIENTS = 64  # clients for single blobs; more than a process works on at once

CLIENT_OPTIONS: dict[str, Any] = {
    # Plain options rather than a retry policy object: a second client with the same object would send through the
    # first client's pipeline.
    "initial_backoff": 1,
    "increment_base": 2,
    "retry_total": 3,
    "connection_timeout": 10,
    "read_timeout": 30,
    "max_single_get_size": BLOCK_BYTES,
    "max_chunk_get_size": BLOCK_BYTES,
}

_CODE = re.compile(r"[A-Za-z]{1,60}")  # such as AuthorizationPermissionMismatch

# This logger writes each request and answer with all headers at INFO. The host would store and bill those lines.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
# This logger warns of broken headers, and writes every URL at DEBUG. A URL may contain a SAS.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def connect(settings: StorageSettings) -> BlobServiceClient:
    """Return a client for the process. It opens connections when it needs them, and reuses them."""
    options = client_options()
    if settings.connection_string:
        return BlobServiceClient.from_connection_string(settings.connection_string, **options)
    return BlobServiceClient(str(settings.account_url), credential=managed_identity(settings.client_id), **options)


@contextmanager
def without_addresses() -> Iterator[None]:
    """Raise StorageFailed in place of the SDK's errors.

    The host logs errors in full. The SDK's errors repeat the whole answer, and a proxy's answer repeats the address,
    which may contain a SAS.
    """
    try:
        yield
    except AzureError as error:
        raise StorageFailed(f"Storage failed ({type(error).__name__}): {reason(error)}") from None


def reason(error: AzureError) -> str:
    """Return the error's first line, storage's own code, and advice if there is any. A refused HEAD has no words.

    The line has no queries. It is not shown if it repeats the SAS, the signature or the token of the request. Without a
    request, nobody can tell what was secret: then the line is the type of the error.
    """
    inner = error.inner_exception
    request = getattr(getattr(error, "response", None) or inner, "request", None)
    line = (str(error)[: 4 * QUOTED].splitlines() or [""])[0]
    first = _secrets_of(request).quotable(line)[:QUOTED] if request is not None else type(inner or error).__name__
    if not isinstance(error, HttpResponseError):
        return first
    code = code_of(error)
    line = f"{first} ({error.status_code}{f' {code}' if _CODE.fullmatch(code) else ''})"
    remedy = advice(error)
    return f"{line} at {_path_of(request)!r}. {remedy}" if remedy else line


def read_stored(blob: BlobClient, etag: str, offset: int | None = None, length: int | None = None) -> bytes:
    """Return the blob's bytes as they are stored, if it still has this ETag.

    By default the SDK unpacks what a Content-Encoding calls compressed, and 1.5 MB may unpack to gigabytes. Without
    unpacking, it neither retries nor translates errors of TLS within an answer, so that is done here.
    """
    tries = 0
    while True:
        try:
            download = blob.download_blob(offset, length, decompress=False, **only_if_unchanged(etag))
            return bytes(download.readall())
        except HTTPError as error:
            tries += 1
            if tries == READ_TRIES:
                raise ServiceResponseError(str(error), error=error) from error


def _path_of(request: Any) -> str:
    """Return the container and blob of a request, without the query, which may contain a SAS."""
    path = unquote(urlsplit(getattr(request, "url", None) or "").path)
    return _secrets_of(request).quotable(path)[:QUOTED_PATH]


def _secrets_of(request: Any) -> Secrets:
    """Return the secrets of the SDK's request, or of requests' own."""
    query = parse_qsl(urlsplit(getattr(request, "url", None) or "").query)
    signatures = [value for name, value in query if name.casefold() == "sig"]
    scheme_and_value = (getattr(request, "headers", None) or {}).get("Authorization") or ""
    return Secrets([*signatures, re.split("[ :]", scheme_and_value)[-1]])  # `Bearer token`, `SharedKey account:value`


def retry_writing(write: Callable[[], T], clock: Clock, name: str) -> T:
    """Return the result of `write`. While storage fails, call it again after each of WRITE_WAITS.

    A refusal that lasts until a person acts is raised at once.
    """
    for seconds in WRITE_WAITS:
        try:
            return write()
        except AzureError as error:
            if is_lasting(error):
                raise
            log.warning("%r: storage failed (%s), retrying in %.0f s", name, type(error).__name__, seconds)
            clock.sleep(seconds, threading.Event())
    return write()


def only_if_unchanged(etag: str) -> dict[str, Any]:
    """Return the arguments that make a request fail unless the blob still has this ETag."""
    return {"etag": f'"{bare_etag(etag)}"', "match_condition": MatchConditions.IfNotModified}


def bare_etag(etag: str) -> str:
    """Return the ETag without quotes."""
    return etag.strip('"')


def client_options() -> dict[str, Any]:
    """Return the options of every client, with the proxies and certificate authorities that the environment names.

    The SDK would read the environment with each request, which takes a fifth of its CPU time. The SDK still decides
    which hosts use the proxy.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return {**CLIENT_OPTIONS, "use_env_settings": bool(getproxies()), "connection_verify": bundle or True}


def managed_identity(client_id: str | None) -> TokenCredential:
    from azure.identity import ManagedIdentityCredential  # takes 124 ms; a connection string does not need it

    return ManagedIdentityCredential(client_id=client_id)
