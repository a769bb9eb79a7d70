"""A tiny function app for the stand-in host's tests, and a view of what it was called with."""

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.host.standin import StandInHost
from local.tools import child_environment

SOURCE = """
import json, os, pathlib, time
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()


def note(kind, what):
    with open(os.environ["CALLS"], "a") as calls:
        calls.write(json.dumps([kind, what, time.time()]) + "\\n")


@app.blob_trigger(arg_name="upload", path="%INBOX%/{name}", connection="AudioStorage",
                  source=func.BlobSource.LOGS_AND_CONTAINER_SCAN)
def take(upload: blob.BlobClient) -> None:
    name = upload.blob_name
    print("a print must not disturb the protocol")
    note("begin", name)
    if "crash-once" in name and not os.path.exists(os.environ["CALLS"] + ".crashed"):
        pathlib.Path(os.environ["CALLS"] + ".crashed").touch()
        os._exit(3)
    if "crash-always" in name:
        os._exit(3)
    if "fail" in name:
        raise ValueError("this upload is not to my liking")
    if "slow" in name:
        time.sleep(float(os.environ["SLOW_SECONDS"]))
    note("end", name)


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AudioStorage")
def told(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    note("message", [text, message.dequeue_count])
    if "fail" in text:
        raise ValueError("this message is not to my liking")
"""


@dataclass
class HostApp:
    """One test's app: a folder, a container and a queue of its own, and the calls that its functions noted."""

    folder: Path
    storage: Azurite
    name: str = field(default_factory=lambda: f"inbox-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        (self.folder / "function_app.py").write_text(SOURCE)
        self.limits(parallel=16)
        with BlobServiceClient.from_connection_string(self.storage.connection_string) as blobs:
            blobs.create_container(self.name)

    def limits(self, parallel: int) -> None:
        blobs = {"maxDegreeOfParallelism": parallel, "poisonBlobThreshold": 5}
        (self.folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"blobs": blobs}}))

    @contextmanager
    def host(self, python: Path, slow_seconds: float = 1.0) -> Iterator[StandInHost]:
        connection = self.storage.connection_string
        settings = {
            **bare_environment(),
            "AudioStorage": connection,
            "AzureWebJobsStorage": connection,
            "INBOX": self.name,
            "QUEUE": f"{self.name}-told",
            "CALLS": str(self.folder / "calls"),
            "SLOW_SECONDS": str(slow_seconds),
        }
        with StandInHost(self.folder, python, settings) as host:
            yield host

    def container(self) -> ContainerClient:
        return ContainerClient.from_connection_string(self.storage.connection_string, self.name)

    def upload(self, *names: str) -> None:
        with self.container() as container:
            for name in names:
                container.upload_blob(name, uuid.uuid4().bytes, overwrite=True)

    def queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(self.storage.connection_string, name)

    def calls(self, kind: str = "begin") -> list[Any]:
        calls = self.folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [what for noted, what, _ in map(json.loads, lines) if noted == kind]

    def was_called(self, times: int) -> bool:
        """Whether the blob function began that often."""
        return len(self.calls()) == times

    def spans(self) -> list[tuple[float, float]]:
        """When each call began and ended."""
        noted = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        ends = {what: when for kind, what, when in noted if kind == "end"}
        return [(when, ends[what]) for kind, what, when in noted if kind == "begin"]

    def messages(self, queue: str) -> list[Any]:
        """What is on a queue, decoded; nothing where there is no such queue."""
        with self.queue(queue) as client:
            try:
                return [json.loads(base64.b64decode(m.content)) for m in client.peek_messages(max_messages=32)]
            except ResourceNotFoundError:
                return []


def bare_environment() -> dict[str, str]:
    """Ours, without any setting that would lead away from this machine."""
    ours = ("AZURE_", "SPEECH_", "AUDIO", "Audio", "TRANSCRIPT_", "MAX_", "LOCAL_", "BLOB_", "AzureWebJobs")
    return {name: value for name, value in child_environment().items() if not name.startswith(ours)}


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Fails where it does not become true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether that process is there and no zombie."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
