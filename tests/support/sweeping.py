"""Helpers for tests of the sweep and of redrive: a clock at today's date, a queue that records, and documents."""

from datetime import UTC, datetime, timedelta

from tests.support.app import App
from tests.support.clock import FakeClock
from transcription.storage.names import output_name
from transcription.storage.queues import AgainMessage, AgainQueue


class DatedClock(FakeClock):
    """A clock that starts at the real time plus `ahead`, since storage stamps blobs with the real time."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead + timedelta(seconds=self.monotonic())


class RecordingQueue(AgainQueue):
    """A queue that records the messages. `others` are the messages that wait there already."""

    def __init__(self, others: int = 0) -> None:
        self.others = others
        self.messages: list[AgainMessage] = []

    def send(self, message: AgainMessage, seconds: float) -> None:
        assert seconds == 0
        self.messages.append(message)

    def waiting(self) -> int:
        return self.others

    def taken(self) -> list[str]:
        """Return the names in all messages, and forget them."""
        names = [message.name for message in self.messages]
        self.messages.clear()
        return names


def store_document(app: App, name: str, **metadata: str) -> None:
    """Store a document that only has metadata. `source_etag` is by default that of the upload."""
    if "source_etag" not in metadata:
        metadata["source_etag"] = str(app.audio.get_blob_client(name).get_blob_properties().etag).strip('"')
    app.transcripts.upload_blob(output_name(name), b"{}", overwrite=True, metadata=metadata)
