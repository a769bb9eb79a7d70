"""Whole jobs: Azurite and a Speech service in processes of their own, uploads on one side, documents on the other."""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.children import Service, speech_settings
from local.azurite import Azurite
from transcription import job
from transcription.clock import SystemClock
from transcription.job import Job

STORAGE_TIMEOUT = 60  # seconds to hand over a large upload


@dataclass
class Environment:
    """Both containers, and the settings that lead to them and to the Speech service."""

    audio: ContainerClient
    transcripts: ContainerClient
    environ: dict[str, str] = field(repr=False)

    def job(self, **settings: str) -> Job:
        return job.build({**self.environ, **settings}, SystemClock())

    def upload(self, name: str, content: bytes) -> None:
        self.audio.upload_blob(name, content, connection_timeout=STORAGE_TIMEOUT)

    def document(self, name: str) -> Any:
        return json.loads(self.transcripts.download_blob(f"{name}.json").readall())

    def run(self, work: Job, name: str) -> float:
        """Seconds that the job of this upload took. RuntimeError: it made no transcript."""
        started = time.perf_counter()
        work.run(self.audio.container_name, name)
        seconds = time.perf_counter() - started
        self.check(name)
        return seconds

    def check(self, name: str) -> None:
        """RuntimeError: there is no transcript, so that nothing was measured."""
        status = self.document(name)["status"]
        if status != "Succeeded":
            raise RuntimeError(f"{name} ended as {status}: nothing is measured by that")


@contextmanager
def environment(azurite: Azurite, service: Service) -> Iterator[Environment]:
    tag = uuid.uuid4().hex[:12]
    names = {"AUDIO_CONTAINER": f"audio-{tag}", "TRANSCRIPT_CONTAINER": f"transcripts-{tag}"}
    with BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
        audio, transcripts = (storage.create_container(name) for name in names.values())
        settings = {**speech_settings(service.url), **names, "AudioStorage": azurite.connection_string}
        try:
            yield Environment(audio, transcripts, settings)
        finally:
            audio.delete_container()
            transcripts.delete_container()


class Watched:
    """Counts what this process does on the network, by the events that Python itself reports."""

    def __init__(self) -> None:
        self.connections = 0
        self.reads = 0
        self.writes = 0
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            self.connections += 1
        elif event == "http.client.send" and arguments[1][:4] in (b"GET ", b"HEAD"):
            self.reads += 1
        elif event == "http.client.send" and arguments[1][:4] == b"PUT ":
            self.writes += 1
