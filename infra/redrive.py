"""Send every upload without a finished transcript to the app again.

An upload has none if its event was lost, if it is older than the deployment, or if it failed and may succeed now.

    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --dry-run
    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --since 2d

The script copies each such upload onto itself, inside storage. The upload keeps its content, metadata and tags, gets a
new ETag, and raises a new event. Finished uploads are not touched, nor are those that are replaced or deleted during
the run. So it is safe to run the script again, also after Ctrl-C. At worst, a recording that is in progress starts
again, because its ETag changed.

Uploads are copied one at a time, some tens per second. They wait in the host's queue, and the app takes only as many at
once as its own limits allow.

Exit status: 0 if everything succeeded, 1 if something failed, 2 if the arguments or settings are wrong.
"""

import argparse
import io
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, Python only searches this folder

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from transcription.errors import Misconfigured
from transcription.settings.app import StorageSettings
from transcription.storage.account import CLIENT_OPTIONS, reason
from transcription.storage.names import PREFIX_UNITS, is_reachable, output_name
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties

PROGRESS_UPLOADS = 10_000  # uploads between two progress lines
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass
class Counts:
    """The numbers of uploads, by outcome."""

    seen: int = 0
    finished: int = 0
    resent: int = 0
    changed: int = 0
    failed: int = 0


class Finished:
    """The finished transcripts, as far as a listing shows them. A set on disk, because there may be millions."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a temporary file, deleted on close
        self._rows.execute("CREATE TABLE finished (output TEXT, etag TEXT, PRIMARY KEY (output, etag)) WITHOUT ROWID")

    def add(self, listing: Iterable[BlobProperties]) -> None:
        documents = ((blob.name, StoredDocument.of(blob)) for blob in listing)
        self._rows.executemany(
            "INSERT OR IGNORE INTO finished VALUES (?, ?)",
            ((name, stored.source_etag) for name, stored in documents if stored.final and stored.source_etag),
        )

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Tell whether there is a finished transcript for this output name and source ETag."""
        query = "SELECT 1 FROM finished WHERE output = ? AND etag = ?"
        return self._rows.execute(query, key).fetchone() is not None

    def close(self) -> None:
        self._rows.close()


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the script and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        settings = StorageSettings.read(storage_environ(options, environ))
        service = connect(settings)
    except Misconfigured as error:
        say(f"{error} You can also use the options --account-url and --connection-string.")
        return 2
    except ValueError as error:  # about a connection string; the message does not contain it
        say(str(error))
        return 2
    counts = Counts()
    try:
        with service:
            redrive(service, settings, options, counts)
    except AzureError as error:
        say(f"Gave up: {reason(error)}")
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
    parser.add_argument("--audio-container", help="the uploads; default: AUDIO_CONTAINER, or audio")
    parser.add_argument("--transcript-container", help="default: TRANSCRIPT_CONTAINER, or transcripts")
    parser.add_argument("--since", type=moment, help="only newer uploads: 2d, 6h, 30m (ago) or 2026-11-23[T10:00]")
    parser.add_argument("--prefix", default="", help="only uploads whose names start with this")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be transcribed again")
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
    """Return the app's environment, with the storage settings that the options override."""
    overrides = {
        "AUDIO_CONTAINER": options.audio_container,
        "TRANSCRIPT_CONTAINER": options.transcript_container,
        "AudioStorage": "" if options.account_url else options.connection_string,
        "AudioStorage__blobServiceUri": options.account_url,
        "AudioStorage__queueServiceUri": options.account_url,  # required, but only triggers use it
    }
    return {**environ, **{name: value for name, value in overrides.items() if value is not None}}


def connect(settings: StorageSettings) -> BlobServiceClient:
    """Return a client for the storage account.

    Raises ValueError if the connection string is malformed.
    """
    if settings.connection_string:
        return BlobServiceClient.from_connection_string(settings.connection_string, **CLIENT_OPTIONS)
    from azure.identity import DefaultAzureCredential  # the caller's login; a connection string does not need it

    return BlobServiceClient(str(settings.account_url), credential=DefaultAzureCredential(), **CLIENT_OPTIONS)


def redrive(service: BlobServiceClient, settings: StorageSettings, options: argparse.Namespace, counts: Counts) -> None:
    """Check every upload once. Errors of one upload are counted; errors of the listings pass through."""
    documents = Transcripts(service, settings)
    audio = service.get_container_client(settings.audio_container)
    with closing(Finished()) as finished:
        finished.add(list_transcripts(service.get_container_client(settings.transcript_container), options))
        for blob in list_uploads(audio, options):
            counts.seen += 1
            if counts.seen % PROGRESS_UPLOADS == 0:
                say(f"…        {summary(counts, options.dry_run)}")
            if (output_name(blob.name), UploadProperties.of(blob).etag) in finished:
                counts.finished += 1
            elif not is_reachable(blob.name):
                counts.failed += 1
                say(f"FAILED   {blob.name!r}: a request for that name would not reach that blob")
            else:
                check(documents, audio, blob, options.dry_run, counts)


def list_transcripts(container: ContainerClient, options: argparse.Namespace) -> Iterator[BlobProperties]:
    """Yield the documents of the chosen uploads, and perhaps some others."""
    prefix = options.prefix[: PREFIX_UNITS // 2]  # outputs keep at least this; a character has up to two units
    try:
        yield from container.list_blobs(prefix, include=["metadata"])
    except ResourceNotFoundError:
        return  # no container, so nothing has been transcribed yet


def list_uploads(container: ContainerClient, options: argparse.Namespace) -> Iterator[BlobProperties]:
    for blob in container.list_blobs(options.prefix, include=["metadata"]):
        recent = options.since is None or blob.last_modified >= options.since
        if recent and not UploadProperties.of(blob).is_folder_marker:
            yield blob


def check(documents: Transcripts, audio: ContainerClient, blob: BlobProperties, dry_run: bool, counts: Counts) -> None:
    """Resend one upload, unless its document shows that it is finished."""
    try:
        stored = documents.find(blob.name)
        if stored.finishes(UploadProperties.of(blob)):
            counts.finished += 1
            return
        if not dry_run:
            resend(audio, blob)
    except (ResourceModifiedError, ResourceNotFoundError):
        counts.changed += 1
        say(f"changed  {blob.name!r}: replaced or deleted during the run")
    except AzureError as error:
        counts.failed += 1
        say(f"FAILED   {blob.name!r}: {reason(error)}")
    else:
        counts.resent += 1
        say(f"again    {blob.name!r}: {why(stored, blob)}")


def resend(audio: ContainerClient, blob: BlobProperties) -> str | None:
    """Copy the blob onto itself, and return its new ETag if the copy has completed.

    The source is in the same account, so it needs no credentials of its own.
    Raises ResourceModifiedError or ResourceNotFoundError if the blob has changed since it was listed.
    """
    client = audio.get_blob_client(blob.name)
    etag = f'"{UploadProperties.of(blob).etag}"'
    tags = client.get_blob_tags() if blob.tag_count else None  # Copy Blob keeps metadata and properties, but no tags
    copy = client.start_copy_from_url(client.url, tags=tags, etag=etag, match_condition=MatchConditions.IfNotModified)
    return str(copy["etag"]).strip('"') if copy["copy_status"] == "success" else None


def why(stored: StoredDocument, blob: BlobProperties) -> str:
    if stored.etag is None:
        return "no transcript"
    if stored.source_etag != UploadProperties.of(blob).etag:
        return "the transcript belongs to earlier content"
    return "it failed, and may succeed now"


def summary(counts: Counts, dry_run: bool) -> str:
    resent = f"{counts.resent} {'to transcribe again' if dry_run else 'sent again'}"
    problems = f"{counts.changed} changed, {counts.failed} failed"
    return f"{counts.seen} uploads: {counts.finished} finished, {resent}, {problems}"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the terminal may lack characters that a name has
    sys.exit(main(sys.argv[1:], os.environ))
