"""The whole stack as `make start` runs it, with real storage, host, worker and recognition."""

import json
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

import pytest
from azure.storage.blob import ContainerClient

from local.demo import SAMPLE
from local.start import line
from local.tools import PROJECT
from tests.support.processes import alive, bare_environment, descendants, eventually

# `python -m local start`, with its storage and log in a folder of the test.
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
    """A running `make start`, and its output so far."""

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
            eventually(lambda: "Press Ctrl-C to stop" in stack.text or process.poll() is not None, seconds=90)
            assert process.poll() is None, stack.text
            yield stack
        finally:
            if process.poll() is None:
                process.kill()
            reader.join()


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_recordings_are_transcribed_once_even_after_a_restart(tmp_path: Path) -> None:
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
        eventually(lambda: "3 transcripts from earlier runs are already there." in again.text)
        with ContainerClient.from_connection_string(again.connection_string, "transcripts") as transcripts:
            assert {blob.name: blob.etag for blob in transcripts.list_blobs()} == written
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(20) == 0
    assert "Succeeded" not in again.text


def test_the_transcript_has_the_words_of_the_recording(tmp_path: Path) -> None:
    spoken = words(SAMPLE.with_suffix(".txt").read_text())
    with started(tmp_path) as stack:
        with ContainerClient.from_connection_string(stack.connection_string, "audio") as audio:
            audio.upload_blob("sample.wav", SAMPLE.read_bytes())
        eventually(lambda: "sample.wav  Succeeded" in stack.text, seconds=60)
        with ContainerClient.from_connection_string(stack.connection_string, "transcripts") as transcripts:
            document = transcripts.download_blob("sample.wav.json").readall().decode()
        recognised = words(re.findall(r'"text": ?"([^"]*)"', document)[0])
        assert SequenceMatcher(None, spoken, recognised).ratio() > 0.8


def test_a_killed_stack_leaves_no_process(tmp_path: Path) -> None:
    with started(tmp_path) as stack:
        family = descendants(stack.process.pid)
        assert len(family) >= 3
        os.kill(stack.process.pid, signal.SIGKILL)
        eventually(lambda: not any(map(alive, family)))


def test_a_line_has_name_status_duration_and_the_first_words() -> None:
    document = {"status": "Succeeded", "durationSeconds": 83.26, "text": "word " * 30}
    shown = line("fr-FR/a.wav.json", json.dumps(document).encode())
    assert "  fr-FR/a.wav  Succeeded  1:23.3  word word" in shown
    assert shown.endswith("word …")
    assert len(shown) < 120


def test_the_line_of_a_failure_has_its_whole_message() -> None:
    message = "This recording is longer than two hours. " * 3
    document = {"status": "Failed", "error": {"code": "TooLong", "message": message}}
    assert line("a.wav.json", json.dumps(document).encode()).endswith(f"a.wav  Failed    TooLong: {message}")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_document_of_something_else_is_reported_as_such(content: bytes) -> None:
    assert line("other.json", content).endswith("other.json  is not a transcript")
