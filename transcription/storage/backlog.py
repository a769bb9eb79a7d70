"""The uploads that may need another try: all of a listing, less those that other listings strike out.

Uploads and documents do not sort alike: `a.wav` comes before `a.wav-2`, but `a.wav-2.json` before `a.wav.json`. So two
listings cannot be compared side by side. There may be millions of uploads, so they are kept in a table on disk.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from azure.storage.blob import BlobProperties

from transcription.storage.names import is_reachable, output_name
from transcription.storage.progress import ListedProgress, progress_name, wait_after_attempts
from transcription.storage.transcripts import StoredDocument
from transcription.storage.uploads import UploadProperties, metadata_of
from transcription.transcript.model import FAILED

Row = TypeVar("Row")

SCHEMA = """
    CREATE TABLE uploads (
        output TEXT PRIMARY KEY,
        name TEXT,
        etag TEXT,
        uploaded REAL,
        progress TEXT UNIQUE,
        attempts INTEGER DEFAULT 0,
        due REAL DEFAULT 0
    )
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unfinished:
    """An upload, as it was listed. `etag` has no quotes."""

    name: str
    etag: str


class Backlog:
    """A table of uploads in a temporary file.

    A listed blob that cannot be read is left out, and the log says how many there were.
    """

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a temporary file, deleted on close
        self._rows.execute(SCHEMA)

    def close(self) -> None:
        self._rows.close()

    def add(
        self,
        blobs: Iterable[BlobProperties],
        since: datetime | None,
        until: datetime,
        on_unreachable: Callable[[str], None] = lambda _: None,
    ) -> int:
        """Add the uploads that were last changed from `since` until before `until`. Return the number of all blobs.

        Folder markers are left out, and so are names that no request can reach.
        """

        def add(blob: BlobProperties) -> None:
            upload = UploadProperties.of(blob)
            if blob.last_modified >= until or (since and blob.last_modified < since) or upload.is_folder_marker:
                return
            if not is_reachable(upload.name):
                on_unreachable(upload.name)
                return
            uploaded = blob.last_modified.timestamp()
            self._rows.execute(
                "INSERT OR REPLACE INTO uploads (output, name, etag, uploaded, progress) VALUES (?, ?, ?, ?, ?)",
                (output_name(upload.name), upload.name, upload.etag, uploaded, progress_name(upload.name, upload.etag)),
            )

        return _each(blobs, add)

    def strike_finished(self, documents: Iterable[BlobProperties], *, keep_failed: bool = False) -> None:
        """Strike out the uploads with a finished document. With `keep_failed`, a failure does not count.

        Otherwise, a failure that may be tried again is due after the first wait.
        """

        def strike(blob: BlobProperties) -> None:
            stored = StoredDocument.of(blob)
            key = (blob.name, stored.source_etag)
            if stored.final and not (keep_failed and metadata_of(blob).get("status") == FAILED):
                self._rows.execute("DELETE FROM uploads WHERE output = ? AND etag = ?", key)
            elif not keep_failed:
                due = blob.last_modified.timestamp() + wait_after_attempts(0)
                self._rows.execute("UPDATE uploads SET due = ? WHERE output = ? AND etag = ?", (due, *key))

        _each(documents, strike)

    def note_progress(self, progress: Iterable[ListedProgress]) -> None:
        """Strike out the uploads that a worker has claimed. Note when the others may be tried again."""

        def note(one: ListedProgress) -> None:
            if one.leased:
                self._rows.execute("DELETE FROM uploads WHERE progress = ?", (one.name,))
                return
            due = one.modified.timestamp() + wait_after_attempts(max(one.attempts, 0))
            values = (one.attempts, due, one.name)
            self._rows.execute("UPDATE uploads SET attempts = ?, due = ? WHERE progress = ?", values)

        _each(progress, note)

    def __len__(self) -> int:
        return int(self._rows.execute("SELECT COUNT(*) FROM uploads").fetchone()[0])

    @property
    def repeated(self) -> int:
        """Return the number of uploads that were tried again before, without any answer from the service."""
        return int(self._rows.execute("SELECT COUNT(*) FROM uploads WHERE attempts > 0").fetchone()[0])

    @property
    def oldest(self) -> datetime | None:
        """Return the time of the oldest upload."""
        (uploaded,) = self._rows.execute("SELECT MIN(uploaded) FROM uploads").fetchone()
        return None if uploaded is None else datetime.fromtimestamp(uploaded, UTC)

    def due(self, now: datetime | None = None, limit: int = -1) -> Iterator[Unfinished]:
        """Yield the uploads whose wait is over, the oldest first. Without `now`, waits do not count."""
        query = "SELECT name, etag FROM uploads WHERE due <= ? ORDER BY uploaded, name LIMIT ?"
        until = now.timestamp() if now else math.inf
        yield from (Unfinished(*row) for row in self._rows.execute(query, (until, limit)))


def _each(rows: Iterable[Row], use: Callable[[Row], None]) -> int:
    """Call `use` on each row and return their number. Rows that make it fail are skipped."""
    number = skipped = 0
    for row in rows:
        number += 1
        try:
            use(row)
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            skipped, last = skipped + 1, error
    if skipped:
        log.warning("Skipped %d of %d listed blobs, because their properties make no sense: %r", skipped, number, last)
    return number
