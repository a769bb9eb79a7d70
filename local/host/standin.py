"""The stand-in host. It does for blob, queue and timer triggers what the Functions host does around Microsoft's worker
code.

It scans the container, keeps a work queue, and delivers several messages at the same time. After five tries, a message
goes to the poison queue. Queue names and messages are those of the real storage extension, so the same tools can
read them.
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
from local.host.functions import BlobTrigger, Limits, QueueTrigger, TimerTrigger, Trigger, triggers
from local.host.listener import Listener, create_queue, decode
from local.host.scan import Scan
from local.host.timer import TIMER_INFO, Timer
from local.host.worker import Worker
from transcription.clock import Clock, SystemClock

log = logging.getLogger("local.host")

POISON_QUEUE = "webjobs-blobtrigger-poison"

# The storage is on this machine, so one retry is enough. The SDK's default would back off for minutes.
RETRIES: dict[str, Any] = {"retry_total": 1}


class StandInHost:
    """A host for one function app. Use it as a context manager: it watches the functions' triggers inside the block."""

    def __init__(self, app: Path, python: Path, settings: Mapping[str, str], clock: Clock | None = None) -> None:
        """Prepare the host. `python` runs the worker. `settings` are its whole environment, with the connections.

        `clock` decides when timers are due. The default is the machine's own clock.
        """
        self._settings = settings
        self._limits = Limits.read(app)
        # It is part of the receipts and of the work queue's name, so it must be the same after a restart.
        self._host_id = settings.get("AzureFunctionsWebHost__hostid") or host_id(app)
        self._worker = Worker(python, app, settings)
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listeners: list[Listener] = []
        self._blob_triggers: dict[str, BlobTrigger] = {}
        self._services: dict[str, BlobServiceClient] = {}
        self._clients = ExitStack()

    @property
    def worker_pid(self) -> int | None:
        """Return the id of the process that runs the functions."""
        return self._worker.pid

    def __enter__(self) -> Self:
        with ExitStack() as start:
            start.callback(self._close)
            all_triggers = triggers(self._worker.start(), self._settings)
            self._blob_triggers = {t.function_id: t for t in all_triggers if isinstance(t, BlobTrigger)}
            if self._blob_triggers:
                self._watch_blobs()
            for trigger in all_triggers:
                if isinstance(trigger, QueueTrigger):
                    self._watch_queue(trigger)
                elif isinstance(trigger, TimerTrigger):
                    self._start_timer(trigger)
            self._running = start.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _close(self) -> None:
        """Stop everything. Work in flight goes back to its queue and is delivered again after the next start."""
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
            scan.load_receipts()
            self._start_thread(scan.run, work, self._stop, listener.wake)

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
            retry_delay=limits.queue_retry_delay,
        )
        self._listen(queue, listener)

    def _start_timer(self, trigger: TimerTrigger) -> None:
        def call() -> Future[str | None]:
            return self._worker.invoke(invocation(trigger, {"timer": TIMER_INFO}, {}))

        self._start_thread(Timer(trigger, call, self._clock).run, self._stop)

    def _listen(self, queue: QueueClient, listener: Listener) -> None:
        create_queue(queue)
        self._listeners.append(listener)
        self._start_thread(listener.run, self._stop)

    def _start_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _deliver_blob(self, text: str, _: QueueMessage) -> Future[str | None] | None:
        """Deliver a blob, unless there is nothing to do.

        There is nothing to do if the function or the blob is gone, or if the blob was replaced: the new one has its own
        message.
        """
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
        """Return the poison queue. It is on the trigger's storage account, which may differ from the host's."""
        trigger = self._blob_triggers[json.loads(decode(message))["FunctionId"]]
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
            raise HostError(f"{connection} is missing. Set it to the connection string of a storage account.")
        return value


def invocation(trigger: Trigger, value: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """Return a request to the worker process; its format is in `local/worker/__main__.py`."""
    return {"function": trigger.function, "parameter": trigger.parameter, "value": value, "metadata": metadata}


def host_id(app: Path) -> str:
    """Return an id for the app folder that may be part of a queue's name."""
    return "local-" + hashlib.sha256(str(app.resolve()).encode()).hexdigest()[:12]
