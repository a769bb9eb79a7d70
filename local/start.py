"""`python -m local start`: the whole stack until Ctrl-C, with a line per transcript."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.demo import clock
from local.progress import say
from local.stack import START_LOG, Stack, running
from local.tools import LOCAL, alone

POLL_SECONDS = 1.0

#: Of a transcript's text, in a line per recording.
FIRST_CHARACTERS = 60

EXAMPLES = """
Upload recordings with this connection string:

  {connection_string}

  az storage blob upload -c {container} -f recording.wav -n recording.wav --connection-string '…'
  python -c "import sys; from azure.storage.blob import BlobClient as B; \
B.from_connection_string(sys.argv[1], '{container}', 'recording.wav').upload_blob(open('recording.wav', 'rb'))" '…'

Transcripts appear in the container {transcripts}, and here. The log is {log}. Ctrl-C ends everything.
"""


def start(settings: Mapping[str, str]) -> None:
    """Runs until it is interrupted. Uploads and transcripts are kept in `.local/storage` for the next time."""
    # Two Azurites over one folder would destroy what is in it.
    storage = LOCAL / "storage"
    lock = alone(LOCAL / "storage.lock", "`make start` is running already; its end is waited for.")
    own = settings.get("AudioStorage")  # an account key of the user's is not for the screen
    with lock, running(settings, storage) as stack:
        say(
            EXAMPLES.format(
                connection_string="(the AudioStorage of your settings)" if own else stack.connection_string,
                container=stack.audio_container,
                transcripts=stack.transcript_container,
                log=START_LOG,
            )
        )
        watch(stack)


def watch(stack: Stack) -> None:
    """A line for each new transcript."""
    with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
        container = storage.get_container_client(stack.transcript_container)
        known = dict(documents(container))
        if known:
            say(f"{len(known)} transcripts are there from before.")
        while True:
            time.sleep(POLL_SECONDS)
            try:
                for name, etag in documents(container):
                    if known.get(name) != etag:
                        content = container.download_blob(name).readall()
                        known[name] = etag
                        say(line(name, content))
            # The storage may be busy, or the document overwritten under the read: the next look sees it.
            except AzureError as error:
                say(f"Cannot look for transcripts: {error}")


def documents(container: ContainerClient) -> Iterator[tuple[str, str]]:
    """Name and ETag of each JSON document."""
    return ((blob.name, blob.etag) for blob in container.list_blobs() if blob.name.endswith(".json"))


def line(name: str, content: bytes) -> str:
    """Name, status, length of the recording, first words or what went wrong."""
    try:
        document: Mapping[str, Any] = json.loads(content)
        status = document["status"]
    except (ValueError, KeyError, TypeError):
        return f"{time.strftime('%H:%M:%S')}  {name}  is no transcript"
    error = document.get("error")
    text = f"{error['code']}: {error['message']}" if error else document.get("text", "")
    if len(text) > FIRST_CHARACTERS and not error:
        text = text[:FIRST_CHARACTERS].rsplit(" ", 1)[0] + " …"
    length = clock(document.get("durationSeconds"))
    return f"{time.strftime('%H:%M:%S')}  {name.removesuffix('.json')}  {status}  {length}  {text}"
