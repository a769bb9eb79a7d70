"""The container scan: every version of every blob becomes one message on the host's work queue.

It works like the real host's `LogsAndContainerScan` source. A receipt per ETag records what was enqueued. So an
overwritten blob is delivered again, and a restart delivers nothing twice. The receipt is written after the message: a
crash in between enqueues the blob twice rather than never, and functions have to cope with that anyway.
"""

import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Callable

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from local.host.functions import BlobTrigger
from local.host.listener import POLL_SECONDS, encode

log = logging.getLogger("local.host")

HOST_CONTAINER = "azure-webjobs-hosts"  # the real host keeps its receipts there too
LONGEST_BLOB_NAME = 1024  # characters; storage's limit


class Scan:
    """The scan of one trigger's container."""

    def __init__(
        self, trigger: BlobTrigger, blobs: BlobServiceClient, host_storage: BlobServiceClient, host_id: str
    ) -> None:
        """Prepare the scan. `blobs` is the account with the container, `host_storage` the one for the receipts."""
        self._trigger = trigger
        self._container = blobs.get_container_client(trigger.container)
        self._receipts = host_storage.get_container_client(HOST_CONTAINER)
        self._prefix = f"blobreceipts/{host_id}/{trigger.function_id}/"
        self._enqueued: set[str] = set()

    def run(self, queue: QueueClient, stop: threading.Event, on_enqueued: Callable[[], None]) -> None:
        """Scan until `stop` is set. Calls `on_enqueued` after each message."""
        while not stop.is_set():
            try:
                self._enqueue_new_blobs(queue, on_enqueued)
            except AzureError as error:
                log.error("Cannot scan the container %s: %s", self._trigger.container, error)
            stop.wait(POLL_SECONDS)

    def load_receipts(self) -> None:
        """Read the receipts of earlier runs."""
        create_container(self._receipts)
        self._enqueued = {blob.name for blob in self._receipts.list_blobs(name_starts_with=self._prefix)}

    def _enqueue_new_blobs(self, queue: QueueClient, on_enqueued: Callable[[], None]) -> None:
        for blob in self._blobs():
            receipt = self._receipt(blob)
            if receipt not in self._enqueued and self._trigger.pattern.fullmatch(blob.name):
                queue.send_message(encode(message(self._trigger, blob)))
                on_enqueued()
                self._receipts.upload_blob(receipt, b"", overwrite=True)
                self._enqueued.add(receipt)

    def _blobs(self) -> list[BlobProperties]:
        try:
            return list(self._container.list_blobs())
        except ResourceNotFoundError:
            return []

    def _receipt(self, blob: BlobProperties) -> str:
        name = f'{self._prefix}"{blob.etag}"/{self._trigger.container}/{blob.name}'
        if len(name) <= LONGEST_BLOB_NAME:
            return name
        return f'{self._prefix}"{blob.etag}"/{hashlib.sha256(name.encode()).hexdigest()}'


def message(trigger: BlobTrigger, blob: BlobProperties) -> str:
    """Return the message that the real host puts on its work queue, and on the poison queue in the end."""
    return json.dumps(
        {
            "Type": "BlobTrigger",
            "FunctionId": trigger.function_id,
            "BlobType": "BlockBlob",
            "ContainerName": trigger.container,
            "BlobName": blob.name,
            "ETag": f'"{blob.etag}"',
        }
    )


def create_container(container: ContainerClient) -> None:
    """Create the container, unless it exists."""
    with contextlib.suppress(ResourceExistsError):
        container.create_container()
