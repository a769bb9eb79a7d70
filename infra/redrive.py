"""Has every upload done again that has no transcript: its event got lost, it was there before the deployment, or it
failed in a way that another try may mend.

    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --dry-run
    python infra/redrive.py --account-url https://<account>.blob.core.windows.net --since 2d

Each such upload is copied onto itself, inside storage: it keeps its content, metadata and tags, gets a new ETag, and
raises the event that it would raise if it were uploaded again. What is done already is not touched, and neither is what
is replaced or deleted meanwhile, so that a second run, or one after Ctrl-C, does no harm. At worst a recording that is
being worked on at that moment is begun anew, because its ETag changed under the work. A transcript that lacks some of
the words goes over to the new ETag, so that they are kept where the new try gets fewer.

It copies one upload after another, some tens in a second. That floods nobody: they wait in the host's queue, where the
app takes no more of them than its own limits allow. What the listings need to be compared is kept on disk, however many
there are.

Exit status: 0, all of that was done; 1, some of it could not be, as the lines say; 2, the arguments or settings are
wrong.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started as a file, it would see this folder only

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from transcription.errors import Misconfigured
from transcription.settings.app import StorageSettings
from transcription.storage.account import CLIENT_OPTIONS, reason
from transcription.storage.names import PREFIX_UNITS, is_reachable, output_name
from transcription.storage.transcripts import StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties

PROGRESS_UPLOADS = 10_000  # looked at between two lines that say so
UNITS = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass
class Counts:
    seen: int = 0
    done: int = 0
    again: int = 0
    changed: int = 0
    failed: int = 0


class Finished:
    """The transcripts whose listing alone says that they are done: a set on disk, since there may be millions."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a temporary file, gone when it is closed
        self._rows.execute("CREATE TABLE done (output TEXT, etag TEXT, PRIMARY KEY (output, etag)) WITHOUT ROWID")

    def add(self, listing: Iterable[BlobProperties]) -> None:
        outcomes = ((blob.name, StoredDocument.of(blob)) for blob in listing)
        self._rows.executemany(
            "INSERT OR IGNORE INTO done VALUES (?, ?)",
            ((name, outcome.source_etag) for name, outcome in outcomes if outcome.final and outcome.source_etag),
        )

    def __contains__(self, document: tuple[str, str]) -> bool:
        """Whether that output is of that source ETag."""
        return self._rows.execute("SELECT 1 FROM done WHERE output = ? AND etag = ?", document).fetchone() is not None

    def close(self) -> None:
        self._rows.close()


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit status."""
    asked = parser().parse_args(arguments)
    try:
        settings = StorageSettings.read(storage_environ(asked, environ))
        service = connect(settings)
    except Misconfigured as error:
        say(f"{error} The options --account-url and --connection-string do as well.")
        return 2
    except ValueError as error:  # of a connection string, which it does not repeat
        say(str(error))
        return 2
    counts = Counts()
    try:
        with service:
            redrive(service, settings, asked, counts)
    except AzureError as error:
        say(f"Given up: {reason(error)}")
        return 1
    except KeyboardInterrupt:
        say("Stopped. Run it again for the rest.")
        return 1
    finally:
        say(summary(counts, asked.dry_run))
    return 1 if counts.failed else 0


def parser() -> argparse.ArgumentParser:
    paragraphs = str(__doc__).split("\n\n")
    parser = argparse.ArgumentParser(description=paragraphs[0], epilog=paragraphs[2])
    connection = parser.add_mutually_exclusive_group()
    connection.add_argument(
        "--connection-string", help="of the storage account; better set AudioStorage, which no list of processes shows"
    )
    connection.add_argument("--account-url", help="the account's blob URL, opened with your own login (az login)")
    parser.add_argument("--audio-container", help="the uploads; else AUDIO_CONTAINER, else audio")
    parser.add_argument("--transcript-container", help="else TRANSCRIPT_CONTAINER, else transcripts")
    parser.add_argument(
        "--since", type=moment, help="only uploads from then on: 2d, 6h, 30m ago, or 2026-11-23[T10:00]"
    )
    parser.add_argument("--prefix", default="", help="only uploads whose names begin so")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done again")
    return parser


def moment(text: str) -> datetime:
    """A time that is so long ago, or a date and time, in UTC where it names no zone."""
    if ago := re.fullmatch(r"(\d{1,5})([dhm])", text):
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a date nor a time span such as 2d, 6h or 30m") from None
    return then if then.tzinfo else then.replace(tzinfo=UTC)


def storage_environ(asked: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, str]:
    """The app's own storage settings, where the arguments say nothing else."""
    named = {
        "AUDIO_CONTAINER": asked.audio_container,
        "TRANSCRIPT_CONTAINER": asked.transcript_container,
        "AudioStorage": "" if asked.account_url else asked.connection_string,
        "AudioStorage__blobServiceUri": asked.account_url,
        "AudioStorage__queueServiceUri": asked.account_url,  # which only triggers need
    }
    return {**environ, **{name: value for name, value in named.items() if value is not None}}


def connect(settings: StorageSettings) -> BlobServiceClient:
    """ValueError: the connection string is none."""
    if settings.connection_string:
        return BlobServiceClient.from_connection_string(settings.connection_string, **CLIENT_OPTIONS)
    from azure.identity import DefaultAzureCredential  # the login of whoever runs this; not needed with a string

    return BlobServiceClient(str(settings.account_url), credential=DefaultAzureCredential(), **CLIENT_OPTIONS)


def redrive(service: BlobServiceClient, settings: StorageSettings, asked: argparse.Namespace, counts: Counts) -> None:
    """Looks at every upload once. Errors of one upload are counted, those of the listings pass through."""
    documents = Transcripts(service, settings)
    audio = service.get_container_client(settings.audio_container)
    with closing(Finished()) as finished:
        finished.add(transcripts(service.get_container_client(settings.transcript_container), asked))
        for blob in uploads(audio, asked):
            counts.seen += 1
            if counts.seen % PROGRESS_UPLOADS == 0:
                say(f"…        {summary(counts, asked.dry_run)}")
            if (output_name(blob.name), UploadProperties.of(blob).etag) in finished:
                counts.done += 1
            elif not is_reachable(blob.name):
                counts.failed += 1
                say(f"FAILED   {blob.name!r}: a request for that name would not reach that blob")
            else:
                settle(documents, audio, blob, asked.dry_run, counts)


def transcripts(container: ContainerClient, asked: argparse.Namespace) -> Iterator[BlobProperties]:
    """The documents of the uploads asked for, and perhaps more."""
    beginning = asked.prefix[: PREFIX_UNITS // 2]  # kept of a long name; a character has up to two units
    try:
        yield from container.list_blobs(beginning, include=["metadata"])
    except ResourceNotFoundError:
        return  # no container: nothing was transcribed yet


def uploads(container: ContainerClient, asked: argparse.Namespace) -> Iterator[BlobProperties]:
    for blob in container.list_blobs(asked.prefix, include=["metadata"]):
        recent = asked.since is None or blob.last_modified >= asked.since
        if recent and not UploadProperties.of(blob).is_folder_marker:
            yield blob


def settle(documents: Transcripts, audio: ContainerClient, blob: BlobProperties, dry_run: bool, counts: Counts) -> None:
    """Has one upload done again, unless its document says by now, or only inside, that it is done."""
    try:
        outcome = documents.find(blob.name)
        if outcome.finishes(UploadProperties.of(blob)):
            counts.done += 1
            return
        if not dry_run:
            etag = deliver_again(audio, blob)
            if outcome.partial and etag and outcome.source_etag == UploadProperties.of(blob).etag:
                documents.reassign(blob.name, outcome, etag)
    except (ResourceModifiedError, ResourceNotFoundError):
        counts.changed += 1
        say(f"changed  {blob.name!r}: replaced or deleted meanwhile")
    except AzureError as error:
        counts.failed += 1
        say(f"FAILED   {blob.name!r}: {reason(error)}")
    else:
        counts.again += 1
        say(f"again    {blob.name!r}: {why(outcome, blob)}")


def deliver_again(audio: ContainerClient, blob: BlobProperties) -> str | None:
    """Copies the blob onto itself; its new ETag, if the copy is made already.

    ResourceModifiedError, ResourceNotFoundError: it is not the one that was listed. Copy Blob keeps metadata and
    properties, but no tags. Its source, being in the same account, is opened by the same credentials.
    """
    client = audio.get_blob_client(blob.name)
    etag = f'"{UploadProperties.of(blob).etag}"'
    tags = client.get_blob_tags() if blob.tag_count else None
    made = client.start_copy_from_url(client.url, tags=tags, etag=etag, match_condition=MatchConditions.IfNotModified)
    return str(made["etag"]).strip('"') if made["copy_status"] == "success" else None


def why(outcome: StoredDocument, blob: BlobProperties) -> str:
    if outcome.etag is None:
        return "no transcript"
    if outcome.source_etag != UploadProperties.of(blob).etag:
        return "the transcript is of earlier content"
    return "it failed, and another try may mend that"


def summary(counts: Counts, dry_run: bool) -> str:
    delivered = f"{counts.again} {'to be done again' if dry_run else 'delivered again'}"
    return (
        f"{counts.seen} uploads: {counts.done} done, {delivered}, {counts.changed} changed meanwhile,"
        f" {counts.failed} failed"
    )


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name may have characters that the terminal has not
    sys.exit(main(sys.argv[1:], os.environ))
