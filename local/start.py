"""`python -m local start`: runs the whole stack until Ctrl-C, and prints a line per transcript."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.demo import clock
from local.progress import say
from local.stack import START_LOG, Stack, running
from local.tools import LOCAL, file_lock

POLL_SECONDS = 1.0

FIRST_CHARACTERS = 60  # of a transcript's text, to print

EXAMPLES = """
Upload recordings with this connection string:

  {connection_string}

  az storage blob upload -c {container} -f recording.wav -n recording.wav --connection-string '…'
  python -c "import sys; from azure.storage.blob import BlobClient as B; \
B.from_connection_string(sys.argv[1], '{container}', 'recording.wav').upload_blob(open('recording.wav', 'rb'))" '…'

Transcripts appear in the container {transcripts}, and here. The log is {log}. Press Ctrl-C to stop.
"""


def start(settings: Mapping[str, str]) -> None:
    """Run the stack until it is interrupted. Uploads and transcripts stay in `.local/storage` for the next run."""
    storage = LOCAL / "storage"
    # Two Azurites on the same folder would destroy its contents.
    lock = file_lock(LOCAL / "storage.lock", "`make start` is already running. Waiting until it stops …")
    own = settings.get("AudioStorage")  # never print the key of the user's own account
    with lock, running(settings, storage) as stack:
        say(
            EXAMPLES.format(
                connection_string="(your setting AudioStorage)" if own else stack.connection_string,
                container=stack.audio_container,
                transcripts=stack.transcript_container,
                log=START_LOG,
            )
        )
        watch(stack)


def watch(stack: Stack) -> None:
    """Print a line for each new transcript."""
    with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
        container = storage.get_container_client(stack.transcript_container)
        known = dict(documents(container))
        if known:
            say(f"{len(known)} transcripts from earlier runs are already there.")
        while True:
            time.sleep(POLL_SECONDS)
            try:
                for name, etag in documents(container):
                    if known.get(name) != etag:
                        content = container.download_blob(name).readall()
                        known[name] = etag
                        say(line(name, content))
            except AzureError as error:  # storage is busy, or the document was just replaced: the next poll sees it
                say(f"Cannot look for transcripts: {error}")


def documents(container: ContainerClient) -> Iterator[tuple[str, str]]:
    """Yield the name and ETag of each JSON document."""
    return ((blob.name, blob.etag) for blob in container.list_blobs() if blob.name.endswith(".json"))


def line(name: str, content: bytes) -> str:
    """Return one line about a document: name, status, duration, and the first words or the error."""
    try:
        document: Mapping[str, Any] = json.loads(content)
        status = document["status"]
    except (ValueError, KeyError, TypeError):
        return f"{time.strftime('%H:%M:%S')}  {name}  is not a transcript"
    error = document.get("error")
    text = f"{error['code']}: {error['message']}" if error else document.get("text", "")
    if len(text) > FIRST_CHARACTERS and not error:
        text = text[:FIRST_CHARACTERS].rsplit(" ", 1)[0] + " …"
    duration = clock(document.get("durationSeconds"))
    return f"{time.strftime('%H:%M:%S')}  {name.removesuffix('.json')}  {status}  {duration}  {text}"
