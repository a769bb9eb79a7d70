"""Kills the worker process at random moments: the host delivers again, and every document is complete."""

import logging
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

from azure.core.exceptions import ResourceNotFoundError

from local.host import StandInHost, listener, scan
from local.tools import PROJECT
from tests.soak.harness import LONG, SHORT, Content, Harness, SoakApp, app_process, make_contents
from tests.soak.report import Result, Tally
from transcription.storage.names import output_name

BAR = "killed and delivered again"
UPLOADS = 2  # before each kill
LATENCY = 0.15  # seconds that the service takes for a clip; a recording then takes about half a second
LONGEST_DELAY = 0.9  # seconds from the upload to the kill
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05  # instead of the host's half second


class _LostDeliveries(logging.Handler):
    """Counts the deliveries that ended with the process, from the host's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("Try ")


def run(harness: Harness) -> Result:
    """Run two hosts in parallel, because most of the time is spent on starting processes."""
    kills, lanes = harness.number(100, 3), 2
    tally, lost = Tally(BAR, kills), _LostDeliveries()
    contents, recognizer = make_contents(4, SHORT, LONG)
    log = logging.getLogger("local.host")
    log.addHandler(lost)

    def run_lane(number: int) -> None:
        with harness.app(recognizer, latency=lambda _: LATENCY) as app, host(app) as running:
            killer = Killer(running)
            turns = range(number, kills, lanes)
            tally.run_each(lambda turn: kill_at_work(app, killer, turn, contents), turns, at_once=1)
            if outputs := app.unexpected_outputs(set(app.audio.list_blob_names())):
                tally.count(f"{outputs} belong to no upload")

    with (
        mock.patch.object(listener, "POLL_SECONDS", POLL_SECONDS),
        mock.patch.object(scan, "POLL_SECONDS", POLL_SECONDS),
        ThreadPoolExecutor(lanes) as pool,
    ):
        list(pool.map(run_lane, range(lanes)))
    log.removeHandler(lost)
    return tally.result(f"{kills} SIGKILLs with {UPLOADS} uploads each: {lost.count} deliveries were lost and repeated")


@contextmanager
def host(app: SoakApp) -> Iterator[StandInHost]:
    """Yield a host that runs the app as it is deployed."""
    settings = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": app.environ["AudioStorage"],
        "AzureFunctionsWebHost__hostid": app.audio.container_name,
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        "TRANSCRIPT_FORMATS": "json,vtt",
        **app.environ,
    }
    with StandInHost(PROJECT, app_process(), settings) as running:
        yield running


class Killer:
    """Kills each worker process once. The host replaces a dead one only when it needs the next."""

    def __init__(self, running: StandInHost) -> None:
        self._running = running
        self._killed: int | None = None

    def kill(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while (process := self._running.worker_pid) in (None, self._killed):
            assert time.monotonic() < deadline, "The host started no new worker process to kill."
            time.sleep(POLL_SECONDS / 5)
        assert process
        os.kill(process, signal.SIGKILL)
        self._killed = process


def kill_at_work(app: SoakApp, killer: Killer, turn: int, contents: list[Content]) -> str | None:
    """Upload, kill the worker, wait for the documents, and return the problems with them, if any."""
    uploads = {f"{turn}-{number}.wav": contents[(turn + number) % len(contents)] for number in range(UPLOADS)}
    etags = {name: app.upload(name, content.wav) for name, content in uploads.items()}
    time.sleep(random.Random(turn).uniform(0, LONGEST_DELAY))
    killer.kill()
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not all(has_document(app, name, etag) for name, etag in etags.items()):
        time.sleep(POLL_SECONDS)
    problems = [
        app.problem(name, content, etags[name]) or app.captions_problem(name) for name, content in uploads.items()
    ]
    return "; ".join(filter(None, problems)) or None


def has_document(app: SoakApp, name: str, etag: str) -> bool:
    try:
        properties = app.transcripts.get_blob_client(output_name(name)).get_blob_properties()
    except ResourceNotFoundError:
        return False
    return bool(properties.metadata["source_etag"] == etag)
