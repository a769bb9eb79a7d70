"""Queue every upload without a finished transcript for another try.

The app does this by itself for the uploads of the last days (SWEEP_DAYS). This script is for older uploads, for those
from before the deployment, and for those that the app gave up on after five tries.

    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --dry-run
    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --since 2d

The script puts a message for each such upload on the queue transcription-again, and the app's count of tries starts
over. Uploads and documents are only read. Finished uploads are left alone, and so are those of the last ten minutes,
which are probably in progress. So it is safe to run the script again, also after Ctrl-C.

The app takes only as many uploads at once as its own limits allow. The others wait in the queue.

Exit status: 0 if everything succeeded, 1 if something failed, 2 if the arguments or settings are wrong.
"""

import argparse
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, Python only searches this folder

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from transcription.clock import Clock, SystemClock
from transcription.errors import Misconfigured, StorageFailed
from transcription.recovery.sweep import YOUNGEST
from transcription.settings.app import StorageSettings
from transcription.storage.account import CLIENT_OPTIONS, reason
from transcription.storage.backlog import Backlog, Unfinished
from transcription.storage.listing import listed
from transcription.storage.names import PREFIX_UNITS
from transcription.storage.queues import AgainMessage, AgainQueue
from transcription.storage.transcripts import StoredDocument, Transcripts

PROGRESS_BLOBS = 10_000  # listed blobs between two progress lines
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass
class Counts:
    """The numbers of uploads, by outcome."""

    seen: int = 0
    finished: int = 0
    queued: int = 0
    failed: int = 0


def main(arguments: Sequence[str], environ: Mapping[str, str], clock: Clock | None = None) -> int:
    """Run the script and return its exit status."""
    options = parser().parse_args(arguments)
    counts = Counts()
    try:
        settings = StorageSettings.read(storage_environ(options, environ))
        service, queue = connect(settings)
    except Misconfigured as error:
        say(f"{error} You can also use the options --account-url and --connection-string.")
        return 2
    except ValueError as error:  # about a connection string or URL; the message does not contain it
        say(str(error))
        return 2
    try:
        with service:
            redrive(service, queue, settings, options, clock or SystemClock(), counts)
    except (AzureError, StorageFailed) as error:
        say(f"Gave up: {reason(error) if isinstance(error, AzureError) else error}")
        return 1
    except KeyboardInterrupt:
        say("Stopped. Run the script again to continue.")
        return 1
    finally:
        say(summary(counts, options.dry_run))
    return 1 if counts.failed else 0


def parser() -> argparse.ArgumentParser:
    paragraphs = str(__doc__).split("\n\n")
    parser = argparse.ArgumentParser(description=f"{paragraphs[0]} {paragraphs[1]}", epilog=paragraphs[4])
    connection = parser.add_mutually_exclusive_group()
    connection.add_argument("--connection-string", help="prefer AudioStorage, because process lists show this option")
    connection.add_argument("--account-url", help="the account's blob URL; uses your own login (az login)")
    parser.add_argument("--queue-url", help="the account's queue URL; default: the blob URL with .queue. for .blob.")
    parser.add_argument("--audio-container", help="the uploads; default: AUDIO_CONTAINER, or audio")
    parser.add_argument("--transcript-container", help="default: TRANSCRIPT_CONTAINER, or transcripts")
    parser.add_argument("--since", type=moment, help="only newer uploads: 2d, 6h, 30m (ago) or 2026-11-23[T10:00]")
    parser.add_argument("--prefix", default="", help="only uploads whose names start with this")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be queued")
    return parser


def moment(text: str) -> datetime:
    """Parse a time span before now, or a date and time. The time zone is UTC if the text names none."""
    if span := re.fullmatch(r"(\d{1,5})([dhm])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a date nor a time span such as 2d, 6h or 30m") from None
    return then if then.tzinfo else then.replace(tzinfo=UTC)


def storage_environ(options: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the app's environment, with the storage settings that the options override.

    Raises ValueError if the queue's URL does not follow from the blobs' URL.
    """
    overrides = {
        "AUDIO_CONTAINER": options.audio_container,
        "TRANSCRIPT_CONTAINER": options.transcript_container,
        "AudioStorage": "" if options.account_url else options.connection_string,
        "AudioStorage__blobServiceUri": options.account_url,
        "AudioStorage__queueServiceUri": options.queue_url or queue_url(options.account_url),
    }
    return {**environ, **{name: value for name, value in overrides.items() if value is not None}}


def queue_url(account_url: str | None) -> str | None:
    """Return the URL of the queues in the account with this URL of its blobs.

    Raises ValueError if the host has no label `blob`, as with a domain of one's own.
    """
    if not account_url:
        return None
    url, replaced = re.subn(r"^(https?://[^/?]+?\.)blob\.", r"\1queue.", account_url)
    if not replaced:
        raise ValueError("The queue's address does not follow from --account-url. Use the option --queue-url too.")
    return url


def connect(settings: StorageSettings) -> tuple[BlobServiceClient, AgainQueue]:
    """Return clients for the blobs and the queue.

    Raises ValueError if the connection string is malformed.
    """
    if settings.connection_string:
        service = BlobServiceClient.from_connection_string(settings.connection_string, **CLIENT_OPTIONS)
        return service, AgainQueue(settings)
    from azure.identity import DefaultAzureCredential  # the caller's login; a connection string does not need it

    credential = DefaultAzureCredential()
    service = BlobServiceClient(str(settings.account_url), credential=credential, **CLIENT_OPTIONS)
    return service, AgainQueue(settings, credential=credential)


def redrive(
    service: BlobServiceClient,
    queue: AgainQueue,
    settings: StorageSettings,
    options: argparse.Namespace,
    clock: Clock,
    counts: Counts,
) -> None:
    """Check every upload once. Errors of one upload are counted; errors of the listings and the queue pass through."""

    def unreachable(name: str) -> None:
        counts.failed += 1
        say(f"FAILED   {name!r}: a request for that name would not reach that blob")

    uploads = listed(service.get_container_client(settings.audio_container), options.prefix)
    transcripts = service.get_container_client(settings.transcript_container)
    with closing(Backlog()) as backlog:
        backlog.add(with_progress(uploads, "uploads"), options.since, clock.now() - YOUNGEST, unreachable)
        counts.seen = len(backlog) + counts.failed
        backlog.strike_finished(with_progress(list_transcripts(transcripts, options), "outputs"), keep_failed=True)
        counts.finished = counts.seen - counts.failed - len(backlog)
        documents = Transcripts(service, settings)
        for upload in backlog.due():
            check(documents, upload, None if options.dry_run else queue, counts)


def list_transcripts(container: ContainerClient, options: argparse.Namespace) -> Iterator[BlobProperties]:
    """Yield the documents of the chosen uploads, and perhaps some others."""
    prefix = options.prefix[: PREFIX_UNITS // 2]  # outputs keep at least this; a character has up to two units
    with suppress(ResourceNotFoundError):  # no container, so nothing has been transcribed yet
        yield from listed(container, prefix)


def with_progress(blobs: Iterator[BlobProperties], kind: str) -> Iterator[BlobProperties]:
    """Yield the blobs, and print a line now and then."""
    for number, blob in enumerate(blobs, 1):
        if number % PROGRESS_BLOBS == 0:
            say(f"…        {number} {kind} listed")
        yield blob


def check(documents: Transcripts, upload: Unfinished, queue: AgainQueue | None, counts: Counts) -> None:
    """Queue one upload, unless its document shows that it is finished. Without a queue, only print it."""
    try:
        stored = documents.find(upload.name)
    except AzureError as error:
        counts.failed += 1
        say(f"FAILED   {upload.name!r}: {reason(error)}")
        return
    if stored.final and stored.source_etag == upload.etag and not stored.abandoned:
        counts.finished += 1
        return
    if queue:
        queue.send(AgainMessage(upload.name, reset=True), 0.0)
    counts.queued += 1
    say(f"again    {upload.name!r}: {why(stored, upload)}")


def why(stored: StoredDocument, upload: Unfinished) -> str:
    if stored.etag is None:
        return "no transcript"
    if stored.source_etag != upload.etag:
        return "the transcript belongs to earlier content"
    return "the app gave up on it" if stored.abandoned else "it failed, and may succeed now"


def summary(counts: Counts, dry_run: bool) -> str:
    queued = f"{counts.queued} {'to queue' if dry_run else 'queued'}"
    return f"{counts.seen} uploads: {counts.finished} finished, {queued}, {counts.failed} failed"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the terminal may lack characters that a name has
    sys.exit(main(sys.argv[1:], os.environ))
