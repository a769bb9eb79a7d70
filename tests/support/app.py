"""What several tests need: a clock that does not wait, recordings made on the spot, an app's settings and storage."""

import json
import math
import os
import struct
import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from local.host import StandInHost
from local.speech import SpeechEndpoint
from local.tools import PROJECT
from transcription import job
from transcription.job import Job
from transcription.transcript import document

SCHEMA = json.loads((Path(document.__file__).parent / "transcript.schema.json").read_text())
DOCUMENT = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())

SPEECH_KEY = "0123456789abcdef0123456789abcdef"
WAIT_SECONDS = 30


class FakeClock:
    """Time passes only by sleeping, and sleeping takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._passed = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self._passed

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 10, tzinfo=UTC) + timedelta(seconds=self._passed)

    def sleep(self, seconds: float, woken: threading.Event | None = None) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds


def murmur(seconds: float, rate: int = 16_000) -> bytes:
    """16-bit samples of something that swells and fades four times a second, as speech does."""
    return array(
        "h", (int(8000 * math.sin(n / 7) * math.sin(4 * math.pi * n / rate) ** 2) for n in range(int(seconds * rate)))
    ).tobytes()


def wav(
    pcm: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    extensible: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    claimed: int | None = None,
) -> bytes:
    """A WAV file with any oddity: chunks `before` and `after` the audio, a `claimed` size that is not the real one."""
    width = channels * bits // 8
    layout = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * width, width, bits)
    if extensible:
        layout += (
            struct.pack("<HHI", 22, bits, 4) + struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        )
    size = len(pcm) if claimed is None else claimed
    chunks = (
        b"fmt " + struct.pack("<I", len(layout)) + layout + before + b"data" + struct.pack("<I", size) + pcm + after
    )
    whole = 4 + len(chunks) if claimed is None else min(4 + claimed, 0xFFFFFFFF)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + chunks


def chunk(name: bytes, content: bytes) -> bytes:
    """One RIFF chunk, padded as the format has it."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def spoken(text: str) -> list[str]:
    """The words of a text, without capitals and punctuation; `~` stays, which marks broken ones."""
    plain = "".join(c for c in text.casefold() if c.isalnum() or c in "~' ")
    return plain.split()


def app_settings(**changes: str | None) -> dict[str, str]:
    """The settings of an app that works; None takes one away."""
    values: dict[str, str | None] = {
        "AudioStorage": "AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net",
        "AZURE_SPEECH_KEY": SPEECH_KEY,
        "AZURE_SPEECH_REGION": "westeurope",
    }
    return changed(values, changes)


def changed(values: Mapping[str, str | None], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def check_document(document: Any) -> None:
    """Holds a document against the published schema, and against what a schema cannot say."""
    DOCUMENT.validate(document)
    ends = 0.0
    for phrase in document["phrases"]:
        assert phrase["offsetSeconds"] >= ends - 0.001, "phrases are in order and do not overlap"
        ends = phrase["offsetSeconds"] + phrase["durationSeconds"]


class App:
    """Uploads on one side, documents on the other, and the Job in between with real storage and a real endpoint."""

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
            AZURE_SPEECH_ENDPOINT=endpoint.url,
        )
        self.audio = service.create_container(self.environ["AUDIO_CONTAINER"])
        self.transcripts = service.create_container(self.environ["TRANSCRIPT_CONTAINER"])

    def remove(self) -> None:
        self.audio.delete_container()
        self.transcripts.delete_container()

    def job(self, **changes: str | None) -> Job:
        """A Job as a process with these settings would have it."""
        return job.build(changed(self.environ, changes), self.clock)

    def upload(self, name: str, content: bytes, **metadata: str) -> str:
        """The new content's ETag, without quotes."""
        blob = self.audio.upload_blob(name, content, overwrite=True, metadata=metadata)
        return str(blob.get_blob_properties().etag).strip('"')

    def run(self, name: str, **changes: str | None) -> None:
        self.job(**changes).run(self.audio.container_name, name)

    def document(self, name: str) -> Any:
        """The upload's document, held against the schema."""
        document = json.loads(self.transcripts.download_blob(f"{name}.json").readall())
        check_document(document)
        return document

    def documents(self) -> list[str]:
        return sorted(self.transcripts.list_blob_names())

    @property
    def requests(self) -> int:
        """How many times the endpoint was asked to recognise something."""
        return len(self.endpoint.received)


@contextmanager
def host(app: App, worker: Path, folder: Path = PROJECT, **changes: str) -> Iterator[StandInHost]:
    """The function app in a worker process with the app's settings."""
    settings = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": app.environ["AudioStorage"],
        "AzureFunctionsWebHost__hostid": app.audio.container_name,
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        "REQUESTS_CA_BUNDLE": os.environ.get("REQUESTS_CA_BUNDLE", ""),
        **app.environ,
        **changes,
    }
    with StandInHost(folder, worker, settings) as running:
        yield running


def document_of(app: App, name: str, etag: str) -> Any:
    """The document of that very upload, once it is there."""
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
