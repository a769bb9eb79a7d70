"""A small function app for the tests of the stand-in host. It records its calls."""

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.host.standin import StandInHost
from tests.support.processes import bare_environment
from transcription.clock import Clock

SOURCE = """
import json, os, pathlib, time
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()


def record(kind, what):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps([kind, what, time.time()]) + "\\n")


@app.blob_trigger(arg_name="upload", path="%INBOX%/{name}", connection="AudioStorage",
                  source=func.BlobSource.LOGS_AND_CONTAINER_SCAN)
def take(upload: blob.BlobClient) -> None:
    name = upload.blob_name
    print("a print must not disturb the protocol")
    record("begin", name)
    if "crash-once" in name and not os.path.exists(os.environ["CALLS"] + ".crashed"):
        pathlib.Path(os.environ["CALLS"] + ".crashed").touch()
        os._exit(3)
    if "crash-always" in name:
        os._exit(3)
    if "fail" in name:
        raise ValueError("this upload cannot be used")
    if "slow" in name:
        time.sleep(float(os.environ["SLOW_SECONDS"]))
    record("end", name)


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AudioStorage")
def receive(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    record("message", [text, message.dequeue_count])
    if "fail" in text:
        raise ValueError("this message cannot be used")
    if "slow" in text:
        time.sleep(float(os.environ["SLOW_SECONDS"]))


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-other", connection="AudioStorage")
def receive_other(message: func.QueueMessage) -> None:
    record("other", message.get_body().decode())
    raise ValueError("no message of this queue can be used")


@app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    record("tick", timer.past_due)
    time.sleep(float(os.environ["TICK_SECONDS"]))
    record("tick_end", timer.past_due)
"""


@dataclass
class HostApp:
    """A function app for one test, with its own folder, container and queue."""

    folder: Path
    storage: Azurite
    name: str = field(default_factory=lambda: f"inbox-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        (self.folder / "function_app.py").write_text(SOURCE)
        self.set_parallel(16)
        with BlobServiceClient.from_connection_string(self.storage.connection_string) as blobs:
            blobs.create_container(self.name)

    def set_parallel(self, parallel: int) -> None:
        blobs = {"maxDegreeOfParallelism": parallel, "poisonBlobThreshold": 5}
        (self.folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"blobs": blobs}}))

    @contextmanager
    def host(
        self, python: Path, slow_seconds: float = 1.0, clock: Clock | None = None, **changes: str
    ) -> Iterator[StandInHost]:
        """Run the app. `changes` override its settings. Without one of `SCHEDULE`, its timer is hardly ever due."""
        connection = self.storage.connection_string
        settings = {
            **bare_environment(),
            "AudioStorage": connection,
            "AzureWebJobsStorage": connection,
            "INBOX": self.name,
            "QUEUE": self.queue_name,
            "CALLS": str(self.folder / "calls"),
            "SLOW_SECONDS": str(slow_seconds),
            "SCHEDULE": "0 0 0 29 2 *",
            "TICK_SECONDS": "0",
            **changes,
        }
        with StandInHost(self.folder, python, settings, clock) as host:
            yield host

    def container(self) -> ContainerClient:
        return ContainerClient.from_connection_string(self.storage.connection_string, self.name)

    def upload(self, *names: str) -> None:
        with self.container() as container:
            for name in names:
                container.upload_blob(name, uuid.uuid4().bytes, overwrite=True)

    @property
    def queue_name(self) -> str:
        return f"{self.name}-messages"

    def queue(self, name: str = "") -> QueueClient:
        """Return a client of a queue, by default of the one that the app watches."""
        name = name or self.queue_name
        return QueueClient.from_connection_string(self.storage.connection_string, name)

    def calls(self, kind: str = "begin") -> list[Any]:
        """Return the recorded names (or messages) of one kind, such as `begin`, `end` or `message`."""
        calls = self.folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [what for recorded, what, _ in map(json.loads, lines) if recorded == kind]

    def kinds(self, *kinds: str) -> list[str]:
        """Return the kinds of all recorded calls of these kinds, in order."""
        recorded = [json.loads(line)[0] for line in (self.folder / "calls").read_text().splitlines()]
        return [kind for kind in recorded if kind in kinds]

    def was_called(self, times: int) -> bool:
        """Tell whether the blob function was called that many times."""
        return len(self.calls()) == times

    def spans(self) -> list[tuple[float, float]]:
        """Return the start and end time of each call."""
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        ends = {what: when for kind, what, when in calls if kind == "end"}
        return [(when, ends[what]) for kind, what, when in calls if kind == "begin"]

    def messages(self, queue: str) -> list[Any]:
        """Return a queue's messages, decoded, or an empty list if there is no such queue."""
        with self.queue(queue) as client:
            try:
                return [json.loads(base64.b64decode(m.content)) for m in client.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []
