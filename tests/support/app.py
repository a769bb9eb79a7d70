"""An app under test: its storage, its endpoint, and a Job or a host that connects them."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jsonschema
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.host import StandInHost
from local.speech import SpeechEndpoint
from local.tools import PROJECT
from tests.support.clock import FakeClock
from tests.support.recordings import DECODERS
from tests.support.settings import app_settings, changed
from transcription import job
from transcription.job import Job
from transcription.settings.app import StorageSettings
from transcription.storage.progress import PROGRESS_PREFIX
from transcription.storage.queues import AgainMessage, AgainQueue
from transcription.transcript import document

SCHEMA = json.loads((Path(document.__file__).parent / "transcript.schema.json").read_text())
DOCUMENT = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())

WAIT_SECONDS = 30


def check_document(document: Any) -> None:
    """Check a document against its schema, and against the rules that a schema cannot express."""
    DOCUMENT.validate(document)
    ends = 0.0
    for phrase in document["phrases"]:
        assert phrase["offsetSeconds"] >= ends - 0.001, "phrases are in order and do not overlap"
        ends = phrase["offsetSeconds"] + phrase["durationSeconds"]


class SpyQueue(AgainQueue):
    """The real queue, and a list of what was sent: messages and the seconds until they appear."""

    def __init__(self, settings: StorageSettings, name: str) -> None:
        super().__init__(settings, name)
        self.sent: list[tuple[AgainMessage, float]] = []

    def send(self, message: AgainMessage, seconds: float) -> None:
        super().send(message, seconds)
        self.sent.append((message, seconds))


class App:
    """Real storage for uploads and documents, a real endpoint, and the Job that connects them."""

    def __init__(
        self, service: BlobServiceClient, connection: str, endpoint: SpeechEndpoint, clock: FakeClock, tag: str
    ) -> None:
        self.service = service
        self.endpoint = endpoint
        self.clock = clock
        self.environ = app_settings(
            AudioStorage=connection,
            AUDIO_CONTAINER=f"audio-{tag}",
            TRANSCRIPT_CONTAINER=f"transcripts-{tag}",
            WORK_CONTAINER=f"work-{tag}",
            AZURE_SPEECH_ENDPOINT=endpoint.url,
        )
        self.queue = SpyQueue(StorageSettings.read(self.environ), f"again-{tag}")
        self.audio = service.create_container(self.environ["AUDIO_CONTAINER"])
        self.transcripts = service.create_container(self.environ["TRANSCRIPT_CONTAINER"])

    def remove(self) -> None:
        self.audio.delete_container()
        self.transcripts.delete_container()
        with suppress(ResourceNotFoundError):
            self.work.delete_container()

    @property
    def work(self) -> ContainerClient:
        """Return the work container. The app creates it when it is first needed."""
        return self.service.get_container_client(self.environ["WORK_CONTAINER"])

    def job(self, **changes: str | None) -> Job:
        """Return the Job of a process with these settings."""
        return job.build(changed(self.environ, changes), self.clock, self.queue, DECODERS)

    def upload(self, name: str, content: bytes, **metadata: str) -> str:
        """Upload `content` and return its ETag, without quotes."""
        blob = self.audio.upload_blob(name, content, overwrite=True, metadata=metadata)
        return str(blob.get_blob_properties().etag).strip('"')

    def run(self, name: str, **changes: str | None) -> None:
        self.job(**changes).run(self.audio.container_name, name)

    def again(self, **changes: str | None) -> None:
        """Deliver the last message that was queued, and forget it."""
        message, _ = self.queue.sent.pop()
        self.job(**changes).again(message.encode().encode())

    def progress(self) -> list[str]:
        """Return the names of the blobs with progress."""
        try:
            return list(self.work.list_blob_names(name_starts_with=PROGRESS_PREFIX))
        except ResourceNotFoundError:
            return []

    def document(self, name: str) -> Any:
        """Return the upload's document, after validation."""
        document = json.loads(self.transcripts.download_blob(f"{name}.json").readall())
        check_document(document)
        return document

    def documents(self) -> list[str]:
        """Return the names of all documents and captions."""
        return sorted(self.transcripts.list_blob_names())

    @property
    def requests(self) -> int:
        """Return the number of requests that the endpoint received."""
        return len(self.endpoint.received)


@contextmanager
def host(app: App, worker: Path, folder: Path = PROJECT, **changes: str) -> Iterator[StandInHost]:
    """Run the function app in a worker process with the app's settings."""
    settings = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": app.environ["AudioStorage"],
        "AzureFunctionsWebHost__hostid": app.audio.container_name,
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        "SWEEP_SCHEDULE": "off",  # no test depends on the time of day
        "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE", ""),
        **app.environ,
        **changes,
    }
    with StandInHost(folder, worker, settings) as running:
        yield running


def document_of(app: App, name: str, etag: str) -> Any:
    """Wait for the document of exactly this upload, and return it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            document = json.loads(app.transcripts.download_blob(f"{name}.json").readall())
            if document["source"]["etag"] == etag:
                check_document(document)
                return document
        except ResourceNotFoundError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"no document for {name} within {WAIT_SECONDS} s")
