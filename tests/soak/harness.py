"""What every bar stands on: real storage, an endpoint that knows the words, and a host's way of delivering."""

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
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas

from local.azurite import ACCOUNT, ACCOUNT_KEY
from local.speech import SpeechEndpoint
from local.speech.recognizer import Recognizer as Hearing
from local.tools import worker_python
from tests.soak.canaries import SPEECH_KEY, Canaries
from tests.soak.report import say
from tests.support.app import App, FakeClock, check_document, spoken, wav
from tests.support.speech_corpus import compose
from tests.support.truth import Recognizer
from transcription.job import Job
from transcription.storage.names import output_name
from transcription.storage.transcripts import CAPTION_TYPES

TRIES = 5  # the host's, after which the message is on the poison queue


class FastClock(FakeClock):
    """Time that passes `speed` times as fast: waits take place, side by side as they would, but are short."""

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


@dataclass(frozen=True)
class Content:
    """A recording and the words that are in it."""

    wav: bytes
    words: tuple[str, ...]


def contents(count: int, seconds: float = 5.0) -> tuple[list[Content], Recognizer]:
    """Different recordings of a few clips each, and the recogniser that knows them."""
    recordings = [compose((0.9, 1.1), None, seconds, seed) for seed in range(count)]
    found = [
        Content(wav(recording.pcm), tuple(word for text, _, _ in recording.words for word in spoken(text)))
        for recording in recordings
    ]
    return found, Recognizer(recordings)


class SoakApp(App):
    """A app whose secrets are canaries, and that can tell whether a document is right."""

    canaries: Canaries

    def right(self, name: str, content: Content, etag: str | None = None) -> str | None:
        """What is wrong with the document of `name`; None where it is the right one, of that content."""
        try:
            document = self.read(name)
        except ResourceNotFoundError:
            return f"{name!r:.80}: no document"
        if etag and document["source"]["etag"] != etag:
            return f"{name!r:.80}: the document is of other content"
        if document["status"] != "Succeeded":
            return f"{name!r:.80}: {document['status']} {document.get('error')} {document['gaps']}"
        if tuple(spoken(document["text"])) != content.words:
            return f"{name!r:.80}: said to be Succeeded with other words: {document['text']!r}"
        return None

    def read(self, name: str) -> Any:
        """The upload's document, held against the schema and searched for secrets."""
        body = self.transcripts.download_blob(output_name(name)).readall()
        self.canaries.look(body.decode(), "a document")
        document = json.loads(body)
        check_document(document)
        return document

    def captions_wrong(self, name: str) -> str | None:
        """None where the captions are there, and are those of the document."""
        captions = self.transcripts.download_blob(output_name(name, "vtt")).readall().decode()
        shown = " ".join(line for line in captions.splitlines()[1:] if line and "-->" not in line)
        return None if shown.split() == self.read(name)["text"].split() else f"{name!r:.80}: other captions: {shown}"

    def etag(self, name: str) -> str:
        """Of the upload that is there."""
        return str(self.audio.get_blob_client(name).get_blob_properties().etag).strip('"')

    def strangers(self, names: set[str], kinds: tuple[str, ...] = tuple(CAPTION_TYPES)) -> list[str]:
        """Blobs that belong to none of these uploads."""
        ours = {output_name(name, kind) for name in names for kind in ("json", *kinds)}
        return [name for name in self.documents() if name not in ours]

    def deliver(self, job: Callable[[], Job], name: str, tries: int = TRIES) -> int:
        """As the host does: again at once after each failure. How many tries it took; more than `tries`: given up."""
        for number in range(1, tries + 1):
            try:
                job().run(self.audio.container_name, name)
            except Exception:  # noqa: BLE001  # whatever it is, the host tries again
                self.canaries.look(traceback.format_exc(), "an exception")
            else:
                return number
        return tries + 1

    def message(self, name: str, etag: str) -> bytes:
        """What the host puts on the poison queue."""
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
    """`quick`: a share of each bar, for every run of the tests."""

    connection: str
    canaries: Canaries
    quick: bool

    def number(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @contextmanager
    def app(self, hearing: Hearing, clock: FakeClock | None = None, **endpoint: Any) -> Iterator[SoakApp]:
        """Containers of its own and an endpoint that hears what `hearing` does; what is left is searched."""
        with (
            SpeechEndpoint(hearing, key=SPEECH_KEY, **endpoint) as speech,
            BlobServiceClient.from_connection_string(self.connection) as service,
        ):
            app = SoakApp(service, self.connection, speech, clock or FakeClock(), uuid.uuid4().hex[:12])
            app.canaries = self.canaries
            app.environ["AZURE_SPEECH_KEY"] = SPEECH_KEY
            yield app
            self._search(app)
            app.remove()

    def shared_access(self) -> str:
        """The same storage, opened by a SAS instead of the account's key."""
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

    def _search(self, app: SoakApp) -> None:
        """All captions and what else nobody has read yet, with the metadata of everything."""
        for blob in app.transcripts.list_blobs(include=["metadata"]):
            self.canaries.look(f"{blob.name} {blob.metadata}", "a document's name and metadata")
            if not blob.name.endswith(".json"):
                text = app.transcripts.download_blob(blob.name).readall()
                self.canaries.look(text.decode(errors="replace"), "captions")


def in_turn(app: SoakApp, names: list[str], contents: list[Content]) -> dict[str, Content]:
    """Uploads the contents under the names, one after another."""
    given = {name: contents[number % len(contents)] for number, name in enumerate(names)}
    for name, content in given.items():
        app.upload(name, content.wav)
    return given


def app_process() -> Path:
    """The Python of a process with the app: Microsoft's worker code, where there is a Python for that."""
    if python := worker_python():
        return python
    say("  No Python 3.13 (set PYTHON313): the functions are called directly")
    return Path(sys.executable)
