"""`python -m local demo`: one recording goes all the way, and its transcript is printed."""

import json
import logging
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient
from azure.storage.queue import QueueClient

from local.host.listener import decode
from local.host.standin import POISON_QUEUE
from local.progress import say
from local.stack import DEMO_LOG, Stack, running
from local.tools import LOCAL

SAMPLE = Path(__file__).with_name("sample.wav")

#: Where the documents are copied to, because the storage is gone with the demo.
COPIES = LOCAL / "demo"

#: As long as the app may work on one recording, `functionTimeout`.
WAIT_SECONDS = 3600.0
POLL_SECONDS = 0.5
PROGRESS_SECONDS = 5.0

#: From a message on the poison queue to the document that a function makes of it.
GIVEN_UP_SECONDS = 10.0

WIDTH = 88

#: What to do, where the document's own message leaves it open.
ADVICE = {
    "Configuration": "Check the settings named above, then run it again.",
}


class NoTranscript(Exception):
    """There is no document, and there will be none; the message says why."""


def demo(audio: Path, settings: Mapping[str, str]) -> int:
    """The exit status: 0 only where the document is there and `Succeeded`."""
    if not audio.is_file():
        say(f"There is no file {audio}. AUDIO is the path of a recording.")
        return 1
    logging.getLogger("local.function").addFilter(tell_progress)
    with running(settings, storage=None) as stack:
        say(f"Uploading {audio} to the container {stack.audio_container}")
        with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
            etag = upload(storage, stack, audio)
            document = wait(storage, stack, audio.name, etag)
    COPIES.mkdir(parents=True, exist_ok=True)
    copy = COPIES / f"{audio.name}.json"
    copy.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    say("\n".join(["", *render(document, audio.name), ""]))
    say(f"  JSON   {copy}")
    say(f"  blob   {stack.transcript_container}/{audio.name}.json, metadata status={document['status']}")
    return 0 if document["status"] == "Succeeded" else 1


def tell_progress(record: logging.LogRecord) -> bool:
    """The function's own progress lines, for whoever waits."""
    message = record.getMessage()
    _, told, progress = message.partition(": transcribed ")
    if told:
        say(f"  transcribed {progress}")
    return True


def upload(storage: BlobServiceClient, stack: Stack, audio: Path) -> str:
    """The upload's ETag, without quotes."""
    with audio.open("rb") as file:
        written = storage.get_blob_client(stack.audio_container, audio.name).upload_blob(file, overwrite=True)
    return str(written["etag"]).strip('"')


def wait(storage: BlobServiceClient, stack: Stack, name: str, etag: str) -> Any:
    """The document of that very upload. Raises `NoTranscript` where the host gave up or the time is over."""
    document = storage.get_blob_client(stack.transcript_container, f"{name}.json")
    started = said = time.monotonic()
    deadline = started + WAIT_SECONDS
    with QueueClient.from_connection_string(stack.connection_string, POISON_QUEUE) as poison:
        while (now := time.monotonic()) < deadline:
            if (found := read(document)) and found["source"].get("etag") == etag:
                return found
            if deadline == started + WAIT_SECONDS and poisoned(poison, stack, name):
                say("  the host gave this upload up")
                deadline = now + GIVEN_UP_SECONDS
            if now > said + PROGRESS_SECONDS:
                said = now
                say(f"  listening … {now - started:.0f} s")
            time.sleep(POLL_SECONDS)
    raise NoTranscript(f"No transcript after {time.monotonic() - started:.0f} s. {DEMO_LOG} tells why.")


def read(document: BlobClient) -> Any:
    """The document, if it is there."""
    try:
        return json.loads(document.download_blob().readall())
    except ResourceNotFoundError:
        return None


def poisoned(queue: QueueClient, stack: Stack, name: str) -> bool:
    """Whether the host gave up on that upload."""
    try:
        messages = [json.loads(decode(message)) for message in queue.peek_messages(max_messages=32)]
    except ResourceNotFoundError:
        return False
    return any((m["ContainerName"], m["BlobName"]) == (stack.audio_container, name) for m in messages)


def render(document: Mapping[str, Any], name: str) -> list[str]:
    """The document for a reader: what it is, the phrases with their times, what is missing, what went wrong."""
    facts = [name, document.get("language"), clock(document.get("durationSeconds")), document["status"]]
    lines = ["  " + "  ·  ".join(fact for fact in facts if fact), ""]
    for phrase in document.get("phrases", []):
        lines += paragraph(clock(phrase["offsetSeconds"]), phrase["text"])
    if document["status"] == "NoSpeech":
        lines += paragraph("", "Nobody speaks in this recording.")
    for gap in document.get("gaps", []):
        missing = f"[{gap['durationSeconds']:.1f} s without words: {gap['reason']}]"
        lines += paragraph(clock(gap["offsetSeconds"]), missing)
    if error := document.get("error"):
        advice = ADVICE.get(error["code"], "")
        lines += paragraph("", f"{error['code']}: {error['message']}") + (paragraph("", advice) if advice else [])
    return lines


def paragraph(time_code: str, text: str) -> list[str]:
    """Wrapped text with a time code at its left."""
    indent = f"  {time_code:>8}  "
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent)) or [indent.rstrip()]


def clock(seconds: float | None) -> str:
    """`1:02:03` or `0:07.2`: tenths only where they can matter."""
    if seconds is None:
        return ""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{int(seconds % 60):02}"
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
