"""`python -m local demo`: uploads one recording to the local stack and prints its transcript."""

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

COPIES = LOCAL / "demo"  # documents are copied here, because the storage ends with the demo

WAIT_SECONDS = 3600.0  # the app may work on one recording for that long: `functionTimeout`
POLL_SECONDS = 0.5
PROGRESS_SECONDS = 5.0  # between two lines that say it is still working
GIVEN_UP_SECONDS = 10.0  # from a message on the poison queue to the document that a function writes for it

WIDTH = 88  # characters per printed line

# Advice for errors whose message does not say what to do.
ADVICE = {
    "Configuration": "Check the settings named above, then run the demo again.",
}


class NoTranscript(Exception):
    """There is no document, and there will be none. The message says why."""


def demo(audio: Path, settings: Mapping[str, str]) -> int:
    """Transcribe one recording, and return the exit status: 0 if the document says `Succeeded`, else 1.

    Raises NoTranscript if no document appears.
    """
    if not audio.is_file():
        say(f"There is no file {audio}. Set AUDIO to the path of a recording.")
        return 1
    logging.getLogger("local.function").addFilter(show_progress)
    with running(settings, storage=None) as stack:
        say(f"Uploading {audio} to the container {stack.audio_container}")
        with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
            etag = upload(storage, stack, audio)
            document = wait_for_document(storage, stack, audio.name, etag)
    COPIES.mkdir(parents=True, exist_ok=True)
    copy = COPIES / f"{audio.name}.json"
    copy.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    say("\n".join(["", *render(document, audio.name), ""]))
    say(f"  JSON   {copy}")
    say(f"  blob   {stack.transcript_container}/{audio.name}.json, metadata status={document['status']}")
    return 0 if document["status"] == "Succeeded" else 1


def show_progress(record: logging.LogRecord) -> bool:
    """Print the progress lines among the function's log lines. Keeps every record."""
    _, found, progress = record.getMessage().partition(": transcribed ")
    if found:
        say(f"  transcribed {progress}")
    return True


def upload(storage: BlobServiceClient, stack: Stack, audio: Path) -> str:
    """Upload the recording, and return its ETag without quotes."""
    with audio.open("rb") as file:
        written = storage.get_blob_client(stack.audio_container, audio.name).upload_blob(file, overwrite=True)
    return str(written["etag"]).strip('"')


def wait_for_document(storage: BlobServiceClient, stack: Stack, name: str, etag: str) -> Any:
    """Return the document of exactly this upload. Raises NoTranscript if the host gave up or time ran out."""
    blob = storage.get_blob_client(stack.transcript_container, f"{name}.json")
    started = last_printed = time.monotonic()
    deadline = started + WAIT_SECONDS
    with QueueClient.from_connection_string(stack.connection_string, POISON_QUEUE) as poison:
        while (now := time.monotonic()) < deadline:
            if (document := read_document(blob)) and document["source"].get("etag") == etag:
                return document
            if deadline == started + WAIT_SECONDS and given_up(poison, stack, name):
                say("  the host gave up on this upload")
                deadline = now + GIVEN_UP_SECONDS
            if now > last_printed + PROGRESS_SECONDS:
                last_printed = now
                say(f"  working … {now - started:.0f} s")
            time.sleep(POLL_SECONDS)
    raise NoTranscript(
        f"No transcript after {time.monotonic() - started:.0f} s. See the log for the reason: {DEMO_LOG}"
    )


def read_document(blob: BlobClient) -> Any:
    """Return the document, or None if there is none yet."""
    try:
        return json.loads(blob.download_blob().readall())
    except ResourceNotFoundError:
        return None


def given_up(queue: QueueClient, stack: Stack, name: str) -> bool:
    """Tell whether the upload is on the poison queue."""
    try:
        messages = [json.loads(decode(message)) for message in queue.peek_messages(max_messages=32)]
    except ResourceNotFoundError:
        return False
    return any((m["ContainerName"], m["BlobName"]) == (stack.audio_container, name) for m in messages)


def render(document: Mapping[str, Any], name: str) -> list[str]:
    """Return a document as lines of text: the facts, the phrases with their times, the gaps, the error."""
    facts = [name, document.get("language"), clock(document.get("durationSeconds")), document["status"]]
    lines = ["  " + "  ·  ".join(fact for fact in facts if fact), ""]
    for phrase in document.get("phrases", []):
        lines += paragraph(clock(phrase["offsetSeconds"]), phrase["text"])
    if document["status"] == "NoSpeech":
        lines += paragraph("", "Nobody speaks in this recording.")
    for gap in document.get("gaps", []):
        text = f"[{gap['durationSeconds']:.1f} s without words: {gap['reason']}]"
        lines += paragraph(clock(gap["offsetSeconds"]), text)
    if error := document.get("error"):
        advice = ADVICE.get(error["code"], "")
        lines += paragraph("", f"{error['code']}: {error['message']}") + (paragraph("", advice) if advice else [])
    return lines


def paragraph(time_code: str, text: str) -> list[str]:
    """Return wrapped text with a time code on its left."""
    indent = f"  {time_code:>8}  "
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent)) or [indent.rstrip()]


def clock(seconds: float | None) -> str:
    """Return a time such as `1:02:03` or `0:07.2`: tenths below an hour only, and nothing for None."""
    if seconds is None:
        return ""
    if seconds >= 3600:
        return f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{int(seconds % 60):02}"
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
