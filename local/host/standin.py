"""The stand-in host: what the Functions host adds to Microsoft's worker code, for blob and queue triggers.

Scanning the container, a work queue, several deliveries at once, five tries, a message on the poison queue. The names
and shapes are those of the real storage extension, so that what is on the queues can be read by the same tools.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueMessage

from local.host.errors import HostError
from local.host.functions import BlobTrigger, Limits, QueueTrigger, triggers
from local.host.listener import Listener, create, text_of
from local.host.scan import Scan
from local.host.worker import Worker

log = logging.getLogger("local.host")

POISON_QUEUE = "webjobs-blobtrigger-poison"

#: The storage is on this machine: one more try, no backoff of minutes.
RETRIES: dict[str, Any] = {"retry_total": 1}


class StandInHost:
    """Runs one function app. A context manager: entered, the functions are indexed and their triggers watched."""

    def __init__(self, app: Path, python: Path, mode: str, settings: Mapping[str, str]) -> None:
        """`python` and `mode`: see `Worker`. `settings`: the app's whole environment, its storage connections too."""
        self._settings = settings
        self._limits = Limits.read(app)
        # Stable over restarts, because the receipts and the work queue carry it.
        self._host_id = settings.get("AzureFunctionsWebHost__hostid") or host_id(app)
        self._worker = Worker(python, mode, app, settings)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Listener] = []
        self._blob_triggers: dict[str, BlobTrigger] = {}
        self._services: dict[str, BlobServiceClient] = {}
        self._clients = ExitStack()

    @property
    def worker_pid(self) -> int | None:
        """The process that the functions run in."""
        return self._worker.pid

    def __enter__(self) -> Self:
        with ExitStack() as start:
            start.callback(self._close)
            found = triggers(self._worker.start(), self._settings)
            self._blob_triggers = {t.function_id: t for t in found if isinstance(t, BlobTrigger)}
            if self._blob_triggers:
                self._watch_blobs()
            for trigger in found:
                if isinstance(trigger, QueueTrigger):
                    self._watch_queue(trigger)
            self._running = start.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _close(self) -> None:
        """What is in flight goes back to its queue and is done at the next start."""
        self._stop.set()
        self._worker.stop()
        for listener in self._listeners:
            listener.wake()
        for thread in self._threads:
            thread.join()
        self._clients.close()

    def _watch_blobs(self) -> None:
        work = self._queue("AzureWebJobsStorage", f"azure-webjobs-blobtrigger-{self._host_id}")
        limits = self._limits
        listener = Listener(
            work, self._blob_poison, self._deliver_blob, parallel=limits.blob_parallel, tries=limits.blob_tries
        )
        self._listen(work, listener)
        for trigger in self._blob_triggers.values():
            scan = Scan(trigger, self._blobs(trigger.connection), self._blobs("AzureWebJobsStorage"), self._host_id)
            scan.remember()
            self._run(scan.run, work, self._stop, listener.wake)

    def _watch_queue(self, trigger: QueueTrigger) -> None:
        def deliver(text: str, message: QueueMessage) -> Future[str | None]:
            return self._worker.invoke(
                invocation(trigger, {"text": text}, {"Id": message.id, "DequeueCount": str(message.dequeue_count)})
            )

        poison = self._queue(trigger.connection, f"{trigger.queue}-poison")
        queue = self._queue(trigger.connection, trigger.queue)
        limits = self._limits
        listener = Listener(
            queue,
            lambda _: poison,
            deliver,
            parallel=limits.queue_parallel,
            tries=limits.queue_tries,
            pause=limits.queue_wait,
        )
        self._listen(queue, listener)

    def _listen(self, queue: QueueClient, listener: Listener) -> None:
        create(queue)
        self._listeners.append(listener)
        self._run(listener.run, self._stop)

    def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _deliver_blob(self, text: str, _: QueueMessage) -> Future[str | None] | None:
        """Nothing where the function or the blob is gone, or the blob is a newer one, which has its own message."""
        message = json.loads(text)
        trigger = self._blob_triggers.get(message["FunctionId"])
        if trigger is None:
            return None
        container, name = message["ContainerName"], message["BlobName"]
        blob = self._blobs(trigger.connection).get_blob_client(container, name)
        try:
            if blob.get_blob_properties().etag != message["ETag"]:
                return None
        except ResourceNotFoundError:
            return None
        match = trigger.pattern.fullmatch(name)
        metadata = {"BlobTrigger": f"{container}/{name}", "Uri": blob.url, **(match.groupdict() if match else {})}
        reference = {"Connection": trigger.connection, "ContainerName": container, "BlobName": name}
        return self._worker.invoke(invocation(trigger, {"blob": reference}, metadata))

    def _blob_poison(self, message: QueueMessage) -> QueueClient:
        """On the storage account of the trigger, which need not be the host's own."""
        trigger = self._blob_triggers[json.loads(text_of(message))["FunctionId"]]
        return self._queue(trigger.connection, POISON_QUEUE)

    def _blobs(self, connection: str) -> BlobServiceClient:
        if connection not in self._services:
            client = BlobServiceClient.from_connection_string(self._connection_string(connection), **RETRIES)
            self._services[connection] = self._clients.enter_context(client)
        return self._services[connection]

    def _queue(self, connection: str, name: str) -> QueueClient:
        client = QueueClient.from_connection_string(self._connection_string(connection), name, **RETRIES)
        return self._clients.enter_context(client)

    def _connection_string(self, connection: str) -> str:
        value = self._settings.get(connection)
        if not value:
            raise HostError(f"{connection} is not set: the stand-in host needs a connection string there")
        return value


def invocation(trigger: BlobTrigger | QueueTrigger, value: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """A request to the worker process, see `local.worker`."""
    return {"function": trigger.function, "parameter": trigger.parameter, "value": value, "metadata": metadata}


def host_id(app: Path) -> str:
    """One per app folder, of the characters that a queue's name may have."""
    return "local-" + hashlib.sha256(str(app.resolve()).encode()).hexdigest()[:12]
