"""A process of the app that a bar kills or stops: `python -m tests.soak.worker QUEUE SPEED LEASE`, with the settings.

It says `ready`. Each line of standard input is JSON: an event about an upload, or a message of the queue. It answers
with `done`, or with the error. Messages that it queues appear SPEED times as fast, and its claims last LEASE seconds.
"""

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from local.progress import say
from local.tools import PROJECT, child_environment
from tests.soak.harness import SoakApp
from transcription import job
from transcription.clock import SystemClock
from transcription.settings.app import StorageSettings
from transcription.storage.progress import ProgressStore
from transcription.storage.queues import AgainMessage, AgainQueue

SPEED = 60.0  # of the waits for messages
INVISIBLE_SECONDS = 600  # of a message that was delivered
WORKER_SECONDS = 400.0  # then a worker is killed, and its bar has failed


class HastyQueue(AgainQueue):
    """The real queue, whose messages appear after a fraction of the time."""

    def __init__(self, settings: StorageSettings, name: str, speed: float) -> None:
        super().__init__(settings, name)
        self._speed = speed

    def send(self, message: AgainMessage, seconds: float) -> None:
        super().send(message, seconds / self._speed)


def main(queue: str, speed: str, lease: str) -> None:
    hasty = HastyQueue(StorageSettings.read(os.environ), queue, float(speed))
    with mock.patch.object(
        job, "ProgressStore", partial(ProgressStore, lease_seconds=int(lease), renewal_seconds=int(lease) / 3)
    ):
        process = job.build(os.environ, SystemClock(), hasty)
    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "event" in order:
                process.run(os.environ["AUDIO_CONTAINER"], order["event"])
            else:
                process.again(order["message"].encode())
        except Exception as error:  # noqa: BLE001  # whatever it is, the bar reports it
            say(f"{type(error).__name__}: {error!s:.300}".replace("\n", " "))
        else:
            say("done")


class Worker:
    """A running worker process. It does one thing at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.line()

    def event(self, name: str) -> None:
        """Begin with an event about the upload."""
        self._order({"event": name})

    def message(self, message: str) -> None:
        """Begin with a message of the queue."""
        self._order({"message": message})

    def said(self) -> bool:
        """Tell whether there is a line, or the worker has ended."""
        assert self.process.stdout
        return bool(select.select([self.process.stdout], [], [], 0)[0])

    def line(self) -> str:
        """Wait for what the worker says. Return an empty string if it has ended."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def _order(self, order: dict[str, str]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()


@contextmanager
def worker(app: SoakApp, lease: int, **changes: str) -> Iterator[Worker]:
    """Run a worker process with the app's settings and these changes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.worker", queue_name(app), str(SPEED), str(lease)],
        cwd=PROJECT,
        env={**child_environment(), **app.environ, **changes},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(WORKER_SECONDS, process.kill)
    timer.start()
    with process:
        try:
            yield Worker(process)
        finally:
            timer.cancel()
            process.kill()


def queue_name(app: SoakApp) -> str:
    return app.audio.container_name.replace("audio", "workers")


class Messages:
    """The messages of the workers' queue, as the host takes them."""

    def __init__(self, app: SoakApp) -> None:
        decoding = TextBase64DecodePolicy()
        self._queue = QueueClient.from_connection_string(
            app.environ["AudioStorage"], queue_name(app), message_decode_policy=decoding
        )
        self._queue.create_queue()

    def take(self) -> str | None:
        """Remove and return the next message that has appeared."""
        message = self._queue.receive_message(visibility_timeout=INVISIBLE_SECONDS)
        if message is None:
            return None
        self._queue.delete_message(message)
        return str(message.content)


if __name__ == "__main__":
    main(*sys.argv[1:])
