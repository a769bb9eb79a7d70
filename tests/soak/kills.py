"""The worker process is killed at random moments; the host delivers again. Nothing is missing and nothing torn."""

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
from tests.soak.harness import Content, Harness, SoakApp, app_process, contents
from tests.soak.report import Result, Tally
from transcription.storage.names import output_name

BAR = "killed and delivered again"
UPLOADS = 2  # on their way at each kill
LATENCY = 0.15  # seconds that the service takes for a clip, so that a recording is under way for about half a second
LONGEST_WORK = 0.9  # seconds from the upload on within which the process is killed
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.05  # instead of the host's half second


class _Lost(logging.Handler):
    """Counts the deliveries that ended with the process."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("Try ")


def run(harness: Harness) -> Result:
    """Two hosts side by side: most of a round is waiting for a process to start."""
    kills, lanes = harness.number(100, 3), 2
    tally, lost = Tally(BAR, kills), _Lost()
    found, recognizer = contents(4)
    log = logging.getLogger("local.host")
    log.addHandler(lost)

    def lane(number: int) -> None:
        with harness.app(recognizer, latency=lambda _: LATENCY) as app, host(app) as running:
            killer = Killer(running)
            turns = range(number, kills, lanes)
            tally.each(lambda turn: killed(app, killer, turn, found), turns, at_once=1)
            if strangers := app.strangers(set(app.audio.list_blob_names())):
                tally.ran(f"{strangers} belong to nothing")

    with (
        mock.patch.object(listener, "POLL_SECONDS", POLL_SECONDS),
        mock.patch.object(scan, "POLL_SECONDS", POLL_SECONDS),
        ThreadPoolExecutor(lanes) as pool,
    ):
        list(pool.map(lane, range(lanes)))
    log.removeHandler(lost)
    return tally.result(f"{kills} SIGKILLs with {UPLOADS} uploads each: {lost.count} deliveries died and came again")


@contextmanager
def host(app: SoakApp) -> Iterator[StandInHost]:
    """The app as it is deployed."""
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
    """Kills each process once: a dead one is there until the host needs the next."""

    def __init__(self, running: StandInHost) -> None:
        self._running = running
        self._killed: int | None = None

    def kill(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while (process := self._running.worker_pid) in (None, self._killed):
            assert time.monotonic() < deadline, "there is no process to kill"
            time.sleep(POLL_SECONDS / 5)
        assert process
        os.kill(process, signal.SIGKILL)
        self._killed = process


def killed(app: SoakApp, killer: Killer, turn: int, found: list[Content]) -> str | None:
    given = {f"{turn}-{number}.wav": found[(turn + number) % len(found)] for number in range(UPLOADS)}
    etags = {name: app.upload(name, content.wav) for name, content in given.items()}
    time.sleep(random.Random(turn).uniform(0, LONGEST_WORK))
    killer.kill()
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not all(done(app, name, etag) for name, etag in etags.items()):
        time.sleep(POLL_SECONDS)
    wrong = [app.right(name, content, etags[name]) or app.captions_wrong(name) for name, content in given.items()]
    return "; ".join(filter(None, wrong)) or None


def done(app: SoakApp, name: str, etag: str) -> bool:
    try:
        properties = app.transcripts.get_blob_client(output_name(name)).get_blob_properties()
    except ResourceNotFoundError:
        return False
    return bool(properties.metadata["source_etag"] == etag)
