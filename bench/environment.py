"""An environment for whole jobs: containers on Azurite, and a Speech service in a process of its own."""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.children import speech_settings
from local.azurite import Azurite
from local.speech.process import SpeechProcess
from tests.support.recordings import DECODERS
from transcription import job
from transcription.clock import SystemClock
from transcription.job import Job

STORAGE_TIMEOUT = 60  # seconds; large uploads need them


@dataclass
class Environment:
    """Both containers, and the app settings that name them and the Speech service."""

    audio: ContainerClient
    transcripts: ContainerClient
    settings: dict[str, str] = field(repr=False)

    @classmethod
    @contextmanager
    def create(cls, azurite: Azurite, service: SpeechProcess) -> Iterator["Environment"]:
        """Create an environment with new containers, and delete them at the end."""
        tag = uuid.uuid4().hex[:12]
        names = {"AUDIO_CONTAINER": f"audio-{tag}", "TRANSCRIPT_CONTAINER": f"transcripts-{tag}"}
        with BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
            audio, transcripts = (storage.create_container(name) for name in names.values())
            settings = {**speech_settings(service.url), **names, "AudioStorage": azurite.connection_string}
            try:
                yield cls(audio, transcripts, settings)
            finally:
                audio.delete_container()
                transcripts.delete_container()

    def new_job(self, **settings: str) -> Job:
        return job.build({**self.settings, **settings}, SystemClock(), decoders=DECODERS)

    def upload(self, name: str, content: bytes) -> None:
        self.audio.upload_blob(name, content, connection_timeout=STORAGE_TIMEOUT)

    def document(self, name: str) -> Any:
        return json.loads(self.transcripts.download_blob(f"{name}.json").readall())

    def run(self, work: Job, name: str) -> float:
        """Run the job of this upload, and return the seconds that it took.

        Raises RuntimeError if it made no transcript.
        """
        started = time.perf_counter()
        work.run(self.audio.container_name, name)
        seconds = time.perf_counter() - started
        self.check(name)
        return seconds

    def check(self, name: str) -> None:
        """Raise RuntimeError if the upload has no transcript, because then its times mean nothing."""
        status = self.document(name)["status"]
        if status != "Succeeded":
            raise RuntimeError(f"{name} ended as {status}, so its times mean nothing")


class NetworkCounter:
    """Counts this process's connections and storage requests, from Python's audit events."""

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
