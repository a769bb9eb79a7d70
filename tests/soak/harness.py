"""The base of every bar: real storage, an endpoint that knows the words, and deliveries like the host's."""

import json
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobLeaseClient,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from local.azurite import ACCOUNT, ACCOUNT_KEY
from local.progress import say
from local.speech import Recognizer, SpeechEndpoint
from local.tools import worker_python
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.support import truth
from tests.support.app import App, check_document
from tests.support.clock import FakeClock
from tests.support.sound import wav
from tests.support.speech_corpus import compose
from tests.support.words import spoken
from transcription.job import Job
from transcription.storage.names import output_name
from transcription.storage.queues import AgainMessage
from transcription.storage.transcripts import CAPTION_TYPES

TRIES = 5  # of the host; then it puts the message on the poison queue


class FastClock(FakeClock):
    """A clock that runs `speed` times as fast as real time. Waits still take place, even in parallel, but are short."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self.speed = speed

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float, woken: threading.Event | None = None) -> None:
        self.slept.append(seconds)
        (woken or threading.Event()).wait(seconds / self.speed)

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        event.wait(None if seconds is None else seconds / self.speed)


@dataclass(frozen=True)
class Content:
    """A recording and the words in it."""

    wav: bytes
    words: tuple[str, ...]


SHORT, LONG = 5.0, 9.0  # seconds of a recording of one or two clips, and of one that keeps progress


def make_contents(count: int, *seconds: float) -> tuple[list[Content], truth.Recognizer]:
    """Return different recordings, as long as `seconds` say in turn, and the recogniser that knows them."""
    recordings = [compose((0.9, 1.1), None, seconds[seed % len(seconds)], seed) for seed in range(count)]
    contents = [
        Content(wav(recording.pcm), tuple(word for text, _, _ in recording.words for word in spoken(text)))
        for recording in recordings
    ]
    return contents, truth.Recognizer(recordings)


class SoakApp(App):
    """An app whose secrets are canaries, and that checks its own outputs."""

    canaries: Canaries
    _taking = threading.Lock()

    def problem(self, name: str, content: Content, etag: str | None = None) -> str | None:
        """Return the problem with the document of `name`, or None if it has all words of this content.

        With `etag`, the document must also belong to the upload with that ETag.
        """
        try:
            document = self.read(name)
        except ResourceNotFoundError:
            return f"{name!r:.80}: no document"
        if etag and document["source"]["etag"] != etag:
            return f"{name!r:.80}: the document belongs to another upload"
        if document["status"] != "Succeeded":
            return f"{name!r:.80}: {document['status']} {document.get('error')} {document['gaps']}"
        if tuple(spoken(document["text"])) != content.words:
            return f"{name!r:.80}: Succeeded with other words: {document['text']!r}"
        return None

    def read(self, name: str) -> Any:
        """Return the upload's document, after a check against the schema and a search for secrets.

        Raises ResourceNotFoundError if there is none.
        """
        body = self.transcripts.download_blob(output_name(name)).readall()
        self.canaries.search(body.decode(), "a document")
        document = json.loads(body)
        check_document(document)
        return document

    def captions_problem(self, name: str) -> str | None:
        """Return None if the captions exist and match the document."""
        captions = self.transcripts.download_blob(output_name(name, "vtt")).readall().decode()
        text = " ".join(line for line in captions.splitlines()[1:] if line and "-->" not in line)
        return None if text.split() == self.read(name)["text"].split() else f"{name!r:.80}: other captions: {text}"

    def etag(self, name: str) -> str:
        """Return the current upload's ETag, without quotes."""
        return str(self.audio.get_blob_client(name).get_blob_properties().etag).strip('"')

    def unexpected_outputs(self, names: set[str], kinds: tuple[str, ...] = tuple(CAPTION_TYPES)) -> list[str]:
        """Return the outputs that belong to none of these uploads."""
        expected = {output_name(name, kind) for name in names for kind in ("json", *kinds)}
        return [name for name in self.documents() if name not in expected]

    def deliver(self, job: Callable[[], Job], name: str) -> int:
        """Deliver an event about the upload, and then what the job queues about it, until nothing is left.

        Plays the host: it tries again at once after each failure, and gives up after five. Messages wait as the app's
        clock runs. Return the number of deliveries, without the message that it gave up.
        """
        deliveries, succeeded = self._try(lambda: job().run(self.audio.container_name, name))
        if not succeeded:
            job().abandon(self.message(name, "0x8D0"))
        return deliveries + self._deliver_queued(job, name)

    def deliver_again(self, job: Callable[[], Job], message: bytes) -> None:
        """Deliver a message of the queue of uploads that need another try, and then what the job queues about it."""
        self._try(lambda: job().again(message))
        self._deliver_queued(job, json.loads(message)["name"])

    def _deliver_queued(self, job: Callable[[], Job], name: str) -> int:
        deliveries = 0
        while taken := self._taken(name):
            for message, seconds in taken:
                self.clock.sleep(seconds)
                deliveries += self._try(lambda: job().again(message.encode().encode()))[0]  # noqa: B023  # runs here
        return deliveries

    def _try(self, delivery: Callable[[], None]) -> tuple[int, bool]:
        """Return the number of tries, and whether the last one succeeded."""
        for number in range(1, TRIES + 1):
            try:
                delivery()
            except Exception:  # noqa: BLE001  # the host tries again after any error
                self.canaries.search(traceback.format_exc(), "an exception")
            else:
                return number, True
        return TRIES, False

    def _taken(self, name: str) -> list[tuple[AgainMessage, float]]:
        """Remove the queued messages about the upload, and return them with their delays in seconds."""
        with self._taking:
            taken = [sent for sent in self.queue.sent if sent[0].name == name]
            for sent in taken:
                self.queue.sent.remove(sent)
        return taken

    def end_claims(self) -> None:
        """End the claims of all workers, as time does to those of dead ones."""
        for name in self.progress():
            blob = self.work.get_blob_client(name)
            if blob.get_blob_properties().lease.state == "leased":
                BlobLeaseClient(blob).break_lease(0)

    def message(self, name: str, etag: str) -> bytes:
        """Return a message like the host's on the poison queue."""
        return json.dumps(
            {
                "Type": "BlobTrigger",
                "FunctionId": "Host.Functions.transcribe",
                "BlobType": "BlockBlob",
                "ContainerName": self.audio.container_name,
                "BlobName": name,
                "ETag": f'"{etag}"',
            }
        ).encode()


@dataclass(frozen=True)
class Harness:
    """The storage and the size of a run. `quick` means a small share of each bar."""

    connection: str
    canaries: Canaries
    quick: bool

    def number(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @contextmanager
    def app(self, recognizer: Recognizer, clock: FakeClock | None = None, **endpoint: Any) -> Iterator[SoakApp]:
        """Yield an app with its own containers and an endpoint, and search its outputs for secrets at the end."""
        with (
            SpeechEndpoint(recognizer, key=SPEECH_KEY, **endpoint) as speech,
            BlobServiceClient.from_connection_string(self.connection) as service,
        ):
            app = SoakApp(service, self.connection, speech, clock or FakeClock(), uuid.uuid4().hex[:12])
            app.canaries = self.canaries
            app.environ["AZURE_SPEECH_KEY"] = SPEECH_KEY
            yield app
            self._search_outputs(app)
            app.remove()

    def shared_access(self) -> str:
        """Return a connection string for the same storage, with a SAS instead of the account key."""
        signature = generate_account_sas(
            ACCOUNT,
            ACCOUNT_KEY,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
            datetime.now(UTC) + timedelta(hours=2),
        )
        secret = dict(part.partition("=")[::2] for part in signature.split("&"))["sig"]
        self.canaries.add(unquote(secret), "a SAS")
        endpoints = [part for part in self.connection.split(";") if "Endpoint=" in part]
        return ";".join([*endpoints, f"SharedAccessSignature={signature}"])

    def _search_outputs(self, app: SoakApp) -> None:
        """Search the captions, and the names and metadata of all outputs. `read` has searched the documents."""
        for blob in app.transcripts.list_blobs(include=["metadata"]):
            self.canaries.search(f"{blob.name} {blob.metadata}", "a document's name and metadata")
            if not blob.name.endswith(".json"):
                text = app.transcripts.download_blob(blob.name).readall()
                self.canaries.search(text.decode(errors="replace"), "captions")


def upload_all(app: SoakApp, names: list[str], contents: list[Content]) -> dict[str, Content]:
    """Upload one of the contents, in turn, under each name. Return name → content."""
    uploads = {name: contents[number % len(contents)] for number, name in enumerate(names)}
    for name, content in uploads.items():
        app.upload(name, content.wav)
    return uploads


def app_process() -> Path:
    """Return the Python of a worker process. One without Microsoft's worker code calls the functions directly."""
    if python := worker_python():
        return python
    say("  No Python 3.13 found (set PYTHON313), so the functions run without Microsoft's worker code.")
    return Path(sys.executable)
