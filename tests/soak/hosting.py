"""Plays the host for the queue `transcription-again`, on the app's clock, and makes recordings of so many clips."""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceNotFoundError

from tests.soak.harness import TRIES, SoakApp
from tests.soak.quota_load import PAUSE
from tests.support.app import SpyQueue
from tests.support.clock import FakeClock
from tests.support.sound import murmur, wav
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.job import Job
from transcription.settings.app import StorageSettings
from transcription.storage.queues import AgainMessage

AT_ONCE = 8  # messages; the host's queues.batchSize
POLL_SECONDS = 0.01
WATCH_SECONDS = 0.05  # between two looks at the documents
SETTLE_SECONDS = 400.0  # in real time, for all messages of a bar


class SteppedClock(FakeClock):
    """A clock whose date is `ahead` seconds of the real one, with which storage stamps its blobs."""

    ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)


class TimedQueue(SpyQueue):
    """The real queue, and a list of its messages with the time on the app's clock at which each appears."""

    def __init__(self, app: SoakApp) -> None:
        super().__init__(StorageSettings.read(app.environ), app.audio.container_name.replace("audio", "timed"))
        self._clock = app.clock
        self._waiting: list[tuple[float, AgainMessage]] = []
        self._lock = threading.Lock()

    def send(self, message: AgainMessage, seconds: float) -> None:
        super().send(message, seconds)
        with self._lock:
            self._waiting.append((self._clock.monotonic() + seconds, message))

    def take_due(self) -> list[AgainMessage]:
        """Remove and return the messages that have appeared."""
        now = self._clock.monotonic()
        with self._lock:
            due = [message for appears, message in self._waiting if appears <= now]
            self._waiting = [entry for entry in self._waiting if entry[0] > now]
        return due

    def drop(self) -> int:
        """Lose all messages, and return their number."""
        with self._lock:
            dropped, self._waiting = len(self._waiting), []
        return dropped

    @property
    def seconds_to_next(self) -> float:
        """Return the seconds until the next message appears, or infinity if there is none."""
        with self._lock:
            return min((appears for appears, _ in self._waiting), default=math.inf) - self._clock.monotonic()


class QueueHost:
    """Delivers the messages of the app's queue, up to AT_ONCE in parallel.

    deliveries: upload → deliveries so far. poisoned: the errors of messages that failed as often as the host tries.
    """

    def __init__(self, app: SoakApp, job: Callable[[], Job]) -> None:
        """Replace the app's queue. `job` returns the Job of the process that gets the next message."""
        self.queue = app.queue = TimedQueue(app)
        self.deliveries: Counter[str] = Counter()
        self.poisoned: list[str] = []
        self._job = job
        self._clock, self._container = app.clock, app.audio.container_name
        self._at_work = 0
        self._lock = threading.Lock()

    def event(self, name: str, job: Job | None = None) -> str | None:
        """Deliver an event about the upload, to this Job if one is given. Return the problem if it fails at first."""
        try:
            (job or self._job()).run(self._container, name)
        except Exception as error:  # noqa: BLE001  # whatever it is, the host would have to try again
            return f"{name}: {type(error).__name__}: {error!s:.300}"
        return None

    def deliver_due(self) -> int:
        """Deliver the messages that have appeared, and return their number."""
        messages = self.queue.take_due()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._deliver, messages))
        return len(messages)

    def deliver_all(self) -> None:
        """Deliver message after message, and move the clock on to each, until none is left."""
        while (seconds := self.queue.seconds_to_next) != math.inf:
            self._clock.sleep(max(0.0, seconds))
            self.deliver_due()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver each message when it appears, while the block runs and until no message is left."""
        stopping = threading.Event()
        with ThreadPoolExecutor(AT_ONCE) as pool:

            def poll() -> None:
                while not stopping.wait(POLL_SECONDS):
                    with self._lock:
                        messages = self.queue.take_due()
                        self._at_work += len(messages)
                    for message in messages:
                        pool.submit(self._deliver_and_count, message)

            thread = threading.Thread(target=poll, daemon=True)
            thread.start()
            yield
            self._settle()
            stopping.set()
            thread.join()

    def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            with self._lock:
                if not self._at_work and self.queue.seconds_to_next == math.inf:
                    return
            time.sleep(POLL_SECONDS)

    def _deliver_and_count(self, message: AgainMessage) -> None:
        self._deliver(message)
        with self._lock:
            self._at_work -= 1

    def _deliver(self, message: AgainMessage) -> None:
        """Deliver one message, and again at once after each failure."""
        self.deliveries[message.name] += 1
        for _ in range(TRIES):
            try:
                self._job().again(message.encode().encode())
            except Exception as error:  # noqa: BLE001  # the host tries again after any error
                problem = f"{message.name}: {type(error).__name__}: {error!s:.300}"
            else:
                return
        self.poisoned.append(problem)


def talk_of(clips: int, seconds: float, seed: int = 0) -> bytes:
    """Return a WAV of so many clips of about `seconds`, no two of them alike."""
    chance, sound = random.Random(seed), murmur(1.0) * (math.ceil(seconds) + 2)
    middle = int(SAMPLE_RATE * seconds)
    lengths = chance.sample(range(middle * 3 // 4, middle * 5 // 4), clips)
    return wav(b"".join(sound[: SAMPLE_BYTES * length] + PAUSE for length in lengths))


def clips_problem(app: SoakApp, name: str, clips: int) -> str | None:
    """Return the problem with the document of a recording of so many clips, or None if it is complete."""
    try:
        document = app.read(name)
    except ResourceNotFoundError:
        return f"{name}: no document"
    if (document["status"], len(document["phrases"])) == ("Succeeded", clips):
        return None
    return f"{name}: {document['status']}, {len(document['phrases'])} of {clips} phrases, {document.get('error')}"


def paid_twice(app: SoakApp) -> int:
    """Return the number of answers to clips that had an answer already."""
    answers = Counter(request.sha256 for request in list(app.endpoint.received) if request.status == 200)
    return sum(answers.values()) - len(answers)


@contextmanager
def watched(app: SoakApp) -> Iterator[dict[tuple[str, str], float]]:
    """Look at the documents all the time. Yield when each was first seen with each status: (name, status) → time."""
    seen: dict[tuple[str, str], float] = {}
    stopping = threading.Event()

    def look() -> None:
        for blob in app.transcripts.list_blobs(include=["metadata"]):
            seen.setdefault((blob.name, blob.metadata["status"]), app.clock.monotonic())

    def watch() -> None:
        while not stopping.wait(WATCH_SECONDS):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield seen
    stopping.set()
    thread.join()
    look()
