"""The container scan: every blob's every ETag becomes one message on the host's work queue.

As with the real host's `LogsAndContainerScan` source, a receipt per ETag says what was enqueued, so an overwrite fires
again and a restart does not. The receipt is written after the message: a crash in between enqueues it twice, which the
function has to bear anyway, instead of never.
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

#: The real host's container for what it has to remember.
HOST_CONTAINER = "azure-webjobs-hosts"

#: Storage's limit for a blob's name, in characters.
LONGEST_BLOB_NAME = 1024


class Scan:
    """Watches one trigger's container."""

    def __init__(self, trigger: BlobTrigger, blobs: BlobServiceClient, memory: BlobServiceClient, host_id: str) -> None:
        """`blobs`: where the container is. `memory`: the host's own storage, for the receipts."""
        self._trigger = trigger
        self._container = blobs.get_container_client(trigger.container)
        self._receipts = memory.get_container_client(HOST_CONTAINER)
        self._prefix = f"blobreceipts/{host_id}/{trigger.function_id}/"
        self._seen: set[str] = set()

    def run(self, queue: QueueClient, stop: threading.Event, enqueued: Callable[[], None]) -> None:
        """Until `stop`; `enqueued` is called after each message."""
        while not stop.is_set():
            try:
                self._look(queue, enqueued)
            except AzureError as error:
                log.error("Cannot scan the container %s: %s", self._trigger.container, error)
            stop.wait(POLL_SECONDS)

    def remember(self) -> None:
        """Reads the receipts of earlier runs."""
        create_container(self._receipts)
        self._seen = {blob.name for blob in self._receipts.list_blobs(name_starts_with=self._prefix)}

    def _look(self, queue: QueueClient, enqueued: Callable[[], None]) -> None:
        for blob in self._blobs():
            receipt = self._receipt(blob)
            if receipt not in self._seen and self._trigger.pattern.fullmatch(blob.name):
                queue.send_message(encode(message(self._trigger, blob)))
                enqueued()
                self._receipts.upload_blob(receipt, b"", overwrite=True)
                self._seen.add(receipt)

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
    """What the real host puts on its work queue and, in the end, on the poison queue."""
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
    """The container, unless it is there."""
    with contextlib.suppress(ResourceExistsError):
        container.create_container()
