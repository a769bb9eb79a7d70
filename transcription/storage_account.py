"""The storage account: one client for the process, which gives up in time and tells nobody its addresses.

The SDK retries 408 and 5xx by itself, by default for minutes; here its retries are bounded to some seconds, because
the host comes back with a failed upload anyway. A SAS is part of every address, so addresses stay out of logs, and
`StorageFailed` leaves the package in place of the SDK's errors.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobServiceClient

from transcription.errors import StorageFailed
from transcription.settings import StorageSettings

BLOCK_BYTES = 2 << 20  # one read; the SDK's own first read is 32 MiB

CLIENT_OPTIONS: dict[str, Any] = {
    # No policy object: it is part of one client's pipeline, and a second client would send through the first one's.
    "initial_backoff": 1,
    "increment_base": 2,
    "retry_total": 3,
    "connection_timeout": 10,
    "read_timeout": 30,
    "max_single_get_size": BLOCK_BYTES,
    "max_chunk_get_size": BLOCK_BYTES,
}

_QUERY = re.compile(r"(\?|%3f)\S*", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z]{1,60}")  # AuthorizationPermissionMismatch

# It logs each request and answer with all headers at INFO, which the host would keep and bill.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
# It warns of an answer with broken headers, and tells of every request at DEBUG, with the URL: a SAS is part of that.
logging.getLogger("urllib3").setLevel(logging.ERROR)


def connect(settings: StorageSettings) -> BlobServiceClient:
    """Opens no connection yet: those are made, and kept, as they are needed."""
    how = CLIENT_OPTIONS | _environment()
    if settings.connection_string:
        return BlobServiceClient.from_connection_string(settings.connection_string, **how)
    return BlobServiceClient(str(settings.account_url), credential=_managed_identity(settings.client_id), **how)


@contextmanager
def without_addresses() -> Iterator[None]:
    """StorageFailed instead of the SDK's errors, which the host would log as they are: they repeat all of an answer,
    and a proxy's answer repeats the address, of which a SAS is part.
    """
    try:
        yield
    except AzureError as error:
        raise StorageFailed(f"Storage failed ({type(error).__name__}): {reason(error)}") from None


def reason(error: AzureError) -> str:
    """What the SDK says first, without the queries of addresses; with storage's own code, as a refused HEAD has no
    words.
    """
    first = _QUERY.sub("?…", (str(error).splitlines() or [""])[0])
    if not isinstance(error, HttpResponseError):
        return first
    code = getattr(error, "error_code", None)  # set by azure.storage, as an enum where it knows the code
    code = str(getattr(code, "value", code))
    return f"{first} ({error.status_code}{f' {code}' if _CODE.fullmatch(code) else ''})"


def _environment() -> dict[str, Any]:
    """What the environment says of proxies and authorities, looked at once: the SDK would look with each request, for a
    fifth of its CPU time. Which hosts a proxy is for is left to it.
    """
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return {"use_env_settings": bool(getproxies()), "connection_verify": bundle or True}


def _managed_identity(client_id: str | None) -> TokenCredential:
    from azure.identity import ManagedIdentityCredential  # 124 ms that a connection string does not need

    return ManagedIdentityCredential(client_id=client_id)
