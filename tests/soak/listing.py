"""Sweeps over 100,000 uploads, in a process of its own: one request for each page, and memory for one page only."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure.storage.queue import QueueClient

from local.progress import say
from local.speech import HelloWorld
from local.tools import PROJECT, child_environment
from tests.soak.harness import Harness, SoakApp
from tests.soak.quota_child import peak_megabytes
from tests.soak.report import Result, Tally
from transcription.clock import SystemClock
from transcription.job import build
from transcription.settings.app import StorageSettings
from transcription.storage.queues import AgainQueue

BAR = "uploads listed by a sweep"
PAGE = 5_000
MISSING = 7  # uploads without a document
MOST_MEGABYTES = 100.0
MOST_REQUESTS = 1.2  # for each page of 5,000 blobs
MOST_REQUESTS_QUICK = 2.5  # for each of a few pages, next to which the other requests of a sweep count
FEW = 100  # uploads of the first sweep, which loads all code
CHILD_SECONDS = 400.0

FOLDER = (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://a/" ContainerName="c"><Blobs>'
)
END = "</Blobs><NextMarker>{}</NextMarker></EnumerationResults>"
BLOB = (
    "<Blob><Name>{name}</Name><Properties><Creation-Time>{time}</Creation-Time><Last-Modified>{time}</Last-Modified>"
    "<Etag>0x{number:x}</Etag><Content-Length>1000000</Content-Length><Content-Type>audio/wav</Content-Type>"
    "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus>"
    "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>"
    "<Metadata>{metadata}</Metadata></Blob>"
)


class Listings:
    """A blob service with so many uploads, all but MISSING of which have a document. Its other containers are empty."""

    def __init__(self, audio: str, transcripts: str) -> None:
        self.uploads = 0
        self.listed = 0
        self.requests = 0
        self._names = {audio: "recording {:07}.wav", transcripts: "recording {:07}.wav.json"}
        self._transcripts = transcripts
        self._time = format_datetime(datetime.now(UTC) - timedelta(minutes=30), usegmt=True)

    def page(self, container: str, marker: int, most: int) -> str:
        """Return one page of a container, from the blob with the number `marker` on."""
        count = 0 if container not in self._names else self.uploads
        count -= MISSING if container == self._transcripts else 0
        numbers = range(marker, max(marker, min(count, marker + most)))
        self.listed += len(numbers)
        blobs = (self._blob(container, number) for number in numbers)
        return FOLDER + "".join(blobs) + END.format(numbers.stop if numbers.stop < count else "")

    def _blob(self, container: str, number: int) -> str:
        finished = f"<status>Succeeded</status><source_etag>0x{number:x}</source_etag><try_again>false</try_again>"
        metadata = finished if container == self._transcripts else ""
        return BLOB.format(
            name=self._names[container].format(number), time=self._time, number=number, metadata=metadata
        )


@contextmanager
def blob_service(listings: Listings) -> Iterator[str]:
    """Yield the URL of a blob service that lists, and accepts what is written."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            listings.requests += 1
            page = listings.page(
                url.path.split("/")[2], int(query.get("marker", 0)), int(query.get("maxresults", PAGE))
            )
            self._send(200, page.encode())

        def do_HEAD(self) -> None:
            listings.requests += 1
            self._send(404)

        def do_PUT(self) -> None:
            listings.requests += 1
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(201)

        def _send(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            if body:
                self.send_header("Content-Type", "application/xml")
            self.send_header("ETag", '"0x1"')
            self.send_header("Last-Modified", format_datetime(datetime.now(UTC), usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a"
        server.shutdown()


@dataclass(frozen=True)
class Swept:
    """The cost of a sweep: its seconds, and the peak of the process's memory so far."""

    megabytes: float
    seconds: float


def run(harness: Harness) -> Result:
    count = harness.number(100_000, 10_000)
    tally = Tally(BAR, 3)
    with harness.app(HelloWorld()) as app:
        queue = QueueClient.from_connection_string(app.environ["AudioStorage"], queue_name(app))
        listings = Listings(app.audio.container_name, app.transcripts.container_name)
        with blob_service(listings) as url:
            few, many = _sweeps(app, url, listings, (FEW, count))
        queued = queue.get_queue_properties().approximate_message_count
    pages, most = listings.listed / PAGE, MOST_REQUESTS_QUICK if harness.quick else MOST_REQUESTS
    requests, megabytes = listings.requests, many.megabytes - few.megabytes
    tally.count(f"{requests} requests for {pages:.1f} pages" if requests > most * pages else None)
    tally.count(f"{megabytes:.0f} MB more" if megabytes > MOST_MEGABYTES else None)
    tally.count(None if queued == 2 * MISSING else f"{queued} messages for {MISSING} missing documents, twice")
    return tally.result(
        f"{count:,} uploads and their documents in {many.seconds:.1f} s: {megabytes:+.0f} MB,"
        f" {requests} requests for {pages:.1f} pages of {PAGE:,}"
    )


def _sweeps(app: SoakApp, url: str, listings: Listings, counts: Sequence[int]) -> list[Swept]:
    """Sweep over so many uploads, one number after the other, in one process. Only the last sweep is counted."""
    connection = app.environ["AudioStorage"].replace(app.service.url.rstrip("/"), url)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.listing", queue_name(app)],
        cwd=PROJECT,
        env={**child_environment(), **app.environ, "AudioStorage": connection},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(CHILD_SECONDS, process.kill)
    timer.start()
    swept = []
    with process:
        assert process.stdin
        assert process.stdout
        for count in counts:
            listings.uploads, listings.listed, listings.requests = count, 0, 0
            process.stdin.write("sweep\n")
            process.stdin.flush()
            swept.append(Swept(**json.loads(process.stdout.readline())))
        process.stdin.close()
    timer.cancel()
    return swept


def queue_name(app: SoakApp) -> str:
    return app.audio.container_name.replace("audio", "swept")


def main(queue: str) -> None:
    """Sweep for each line of standard input."""
    job = build(os.environ, SystemClock(), AgainQueue(StorageSettings.read(os.environ), queue))
    for _ in sys.stdin:
        started = time.monotonic()
        job.sweep()
        say(json.dumps({"megabytes": peak_megabytes(), "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
