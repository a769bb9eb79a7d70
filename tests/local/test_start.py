"""The whole stack as `make start` runs it, with real storage, host, worker and recognition."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from azure.storage.blob import ContainerClient

from local.demo import SAMPLE
from local.stack import LOCAL_KEY, app_environment
from local.tools import PROJECT
from tests.local.host_app import alive, bare_environment, eventually

#: `python -m local start`, but with what it keeps in a folder of the test's.
START = """
import sys
from pathlib import Path
import local.__main__, local.stack, local.start
local.start.LOCAL = local.stack.LOCAL = Path(sys.argv.pop())
local.__main__.START_LOG = local.start.START_LOG = local.stack.LOCAL / "start.log"
local.__main__.main() and sys.exit(1)
"""


@dataclass
class Started:
    """A running `make start` and what it printed so far."""

    process: "subprocess.Popen[str]"
    output: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.output)

    @property
    def connection_string(self) -> str:
        return next(line.strip() for line in self.output if "AccountKey=" in line)


@contextmanager
def started(folder: Path) -> Iterator[Started]:
    command = [sys.executable, "-c", START, "start", str(folder)]
    environment = bare_environment()
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        stack = Started(process)
        assert process.stdout is not None
        reader = threading.Thread(target=stack.output.extend, args=(process.stdout,))
        reader.start()
        try:
            eventually(lambda: "Ctrl-C ends everything" in stack.text or process.poll() is not None, seconds=90)
            assert process.poll() is None, stack.text
            yield stack
        finally:
            if process.poll() is None:
                process.kill()
            reader.join()


def descendants(pid: int) -> list[int]:
    """All processes that it started, and those that they started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_recordings_become_transcripts_once(tmp_path: Path) -> None:
    names = ["one.wav", "en-GB/two.wav", "drei ü.wav"]
    with started(tmp_path) as first:
        with ContainerClient.from_connection_string(first.connection_string, "audio") as audio:
            for name in names:
                audio.upload_blob(name, SAMPLE.read_bytes())
        eventually(lambda: first.text.count("Succeeded") == len(names), seconds=60)
        with ContainerClient.from_connection_string(first.connection_string, "transcripts") as transcripts:
            assert sorted(transcripts.list_blob_names()) == sorted(f"{name}.json" for name in names)
            written = {blob.name: blob.etag for blob in transcripts.list_blobs()}
        family = descendants(first.process.pid)
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(20) == 0
        assert not any(map(alive, family))
    with started(tmp_path) as again:
        eventually(lambda: "3 transcripts are there from before." in again.text)
        with ContainerClient.from_connection_string(again.connection_string, "transcripts") as transcripts:
            assert {blob.name: blob.etag for blob in transcripts.list_blobs()} == written
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(20) == 0
    assert "Succeeded" not in again.text


def test_the_transcript_has_the_words_that_were_said(tmp_path: Path) -> None:
    said = words(SAMPLE.with_suffix(".txt").read_text())
    with started(tmp_path) as stack:
        with ContainerClient.from_connection_string(stack.connection_string, "audio") as audio:
            audio.upload_blob("sample.wav", SAMPLE.read_bytes())
        eventually(lambda: "sample.wav  Succeeded" in stack.text, seconds=60)
        with ContainerClient.from_connection_string(stack.connection_string, "transcripts") as transcripts:
            document = transcripts.download_blob("sample.wav.json").readall().decode()
        heard = words(re.findall(r'"text": ?"([^"]*)"', document)[0])
        assert SequenceMatcher(None, said, heard).ratio() > 0.8


def test_a_killed_stack_leaves_no_process(tmp_path: Path) -> None:
    with started(tmp_path) as stack:
        family = descendants(stack.process.pid)
        assert len(family) >= 3
        os.kill(stack.process.pid, signal.SIGKILL)
        eventually(lambda: not any(map(alive, family)))


def test_a_real_endpoint_in_the_settings_is_left_alone() -> None:
    settings = {"AZURE_SPEECH_KEY": "k", "AZURE_SPEECH_REGION": "westeurope", "AUDIO_CONTAINER": "in"}
    environment = app_environment(settings, "a connection", None)
    assert settings.items() <= environment.items()
    assert "AZURE_SPEECH_ENDPOINT" not in environment
    assert environment["BLOB_TRIGGER_SOURCE"] == "LogsAndContainerScan"
    assert LOCAL_KEY not in environment.values()
