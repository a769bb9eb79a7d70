"""The load of the bar on quotas: uploads of talk, processes that transcribe them, and what the endpoint saw of it."""

import heapq
import json
import random
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from local.speech import Received
from local.tools import PROJECT, child_environment
from tests.soak.harness import SoakApp
from tests.support.sound import murmur, wav
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE

PAUSE = bytes(SAMPLE_BYTES * SAMPLE_RATE * 13 // 10)  # of silence, which ends a clip
SHORTEST, LONGEST, USUAL = 5, 50, 8  # seconds of talk between two such pauses
CONTENTS = 8  # different recordings; more uploads are copies, which take no memory of the storage
ROW_SECONDS = 150.0  # then a process is killed, and its row has failed
PROCESS = "process"  # a query parameter that the service ignores
WAV_HEADER_BYTES = 44


def talk(clips: int, seed: int) -> bytes:
    """Return a WAV of so many clips, most of them short and some long, as people talk."""
    chance, sound = random.Random(seed), murmur(1.0) * (LONGEST + 1)
    lengths = (int(SAMPLE_RATE * chance.triangular(SHORTEST, LONGEST, USUAL)) for _ in range(clips))
    return wav(b"".join(sound[: SAMPLE_BYTES * length] + PAUSE for length in lengths))


@dataclass(frozen=True)
class Load:
    """Uploads with so many clips each."""

    names: Sequence[str]
    clips: int

    @classmethod
    def upload(cls, app: SoakApp, count: int, clips: int) -> "Load":
        names = [f"{number:04}.wav" for number in range(count)]
        for number, name in enumerate(names[:CONTENTS]):
            app.upload(name, talk(clips, number))
        for number, name in enumerate(names[CONTENTS:]):
            source = app.audio.get_blob_client(names[number % CONTENTS])
            app.audio.get_blob_client(name).start_copy_from_url(source.url)
        return cls(names, clips)

    @classmethod
    def of_minutes(cls, app: SoakApp, tag: str, count: int, minutes: int) -> "Load":
        """Upload the same recording of about so many minutes `count` times."""
        clips = round(60 * minutes * 3 / (SHORTEST + LONGEST + USUAL))
        content, names = talk(clips, minutes), [f"{tag}-{number}.wav" for number in range(count)]
        for name in names:
            app.upload(name, content)
        return cls(names, clips)

    def each(self) -> Iterator["Load"]:
        """Yield a load of each upload alone."""
        return (Load([name], self.clips) for name in self.names)

    def problems(self, app: SoakApp) -> list[str]:
        """Return what is wrong with the documents: each must have all its clips, and none may be paid for twice."""
        return [problem for name in self.names if (problem := self._problem(app, name))]

    def _problem(self, app: SoakApp, name: str) -> str | None:
        document = app.read(name)
        outcome = document["status"], len(document["phrases"]), document["recognition"]["audioSecondsSent"] > 0
        return None if outcome == ("Succeeded", self.clips, True) else f"{name}: {outcome}, not {self.clips} phrases"


@dataclass(frozen=True)
class Ended:
    """One report of a process about its work."""

    seconds: float
    megabytes: float


class Child:
    """A process of the app."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._ready = False

    def ready(self) -> None:
        """Wait until the process can begin."""
        if not self._ready:
            self._line()
            self._ready = True

    def begin(self, names: Sequence[str]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(list(names)) + "\n")
        self._process.stdin.flush()

    def end(self) -> Ended:
        """Wait until the work is done. Raises ChildEnded if the process fails."""
        return Ended(**json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise ChildEnded("A process of the app failed or took too long. Standard error has the reason.")
        return line


class ChildEnded(Exception):
    """A process of the app ended before its work did."""


@contextmanager
def child(app: SoakApp, number: int = 0) -> Iterator[Child]:
    """Run a process of the app. Its requests name its number."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.soak.quota_child"],
        cwd=PROJECT,
        env={**child_environment(), **app.environ, "AZURE_SPEECH_QUERY": f"{PROCESS}={number}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(ROW_SECONDS, process.kill)
    timer.start()
    with process:
        try:
            yield Child(process)
        finally:
            timer.cancel()
            process.kill()


@dataclass(frozen=True)
class Seen:
    """The endpoint's record: the answered requests in order of arrival, the seconds they took, and the refusals."""

    answered: Sequence[Received]
    seconds: Sequence[float]
    refused: int

    @classmethod
    def by(cls, app: SoakApp, latency: Callable[[float], float], first: int = 0) -> "Seen":
        """Return the requests from the number `first` on."""
        received = list(app.endpoint.received)[first:]
        answered = [one for one in received if one.status == 200]
        seconds = [latency((one.size - WAV_HEADER_BYTES) / BYTES_PER_SECOND) for one in answered]
        return cls(answered, seconds, sum(one.status == 429 for one in received))

    @property
    def refused_share(self) -> float:
        """Return the refused requests per answered one."""
        return self.refused / len(self.answered)

    def shares(self) -> Mapping[str, float]:
        """Return process → the places it had, on average, while every process had work."""
        requests = defaultdict(list)
        for one in self.answered:
            requests[one.query[PROCESS]].append(one)
        begin = max(some[0].started for some in requests.values())
        end = min(some[-1].started for some in requests.values())
        return {
            process: sum(max(0.0, min(end, one.ended) - max(begin, one.started)) for one in some) / (end - begin)
            for process, some in requests.items()
        }


def ideal(seconds: Sequence[float], places: int) -> float:
    """Return the shortest time that these requests might take."""
    return max(max(seconds), sum(seconds) / places)


def in_order(seconds: Sequence[float], places: int) -> float:
    """Return the time that the requests take if each starts in its turn, as soon as a place is free."""
    free = [0.0] * places
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def fairness(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 if all shares are equal, 1/n if one process has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
