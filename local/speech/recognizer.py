"""The recognisers, which turn samples into words: pocketsphinx for a developer's machine, simple ones for tests.

pocketsphinx has an English model in its wheel, so recognition works offline and free of charge. It holds the GIL while
it works, so it runs in worker processes. They are plain child processes on a pipe, not one of the standard library's
process pools. Such a worker ends by itself when its pipe closes, so none outlives a parent that was killed.
"""

import json
import logging
import operator
import queue
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, cast

from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE

SILENCE_RMS = 100  # of 32,767, about -50 dBFS; speech is louder
LEVEL_FRAME_SAMPLES = SAMPLE_RATE // 10
WORKER = Path(__file__).with_name("worker.py")
WORKER_STOP_SECONDS = 5.0
WORKER_ENDED = "a pocketsphinx worker ended; standard error has the reason"

log = logging.getLogger("local.speech")


class RecognitionFailed(Exception):
    """The recogniser failed. The endpoint answers `RecognitionStatus: Error`, as the service does."""


@dataclass(frozen=True)
class Word:
    """One recognised word. Times are in seconds from the clip's start."""

    text: str
    start: float
    duration: float

    @property
    def end(self) -> float:
        return self.start + self.duration


class Recognizer(Protocol):
    """A source of words for clips."""

    def words(self, pcm: bytes, language: str) -> list[Word]:
        """Return the words of a clip, in order. `pcm` is 16 kHz mono s16le.

        Raises RecognitionFailed if the recogniser does not work.
        """


def has_sound(pcm: bytes) -> bool:
    """Tell whether any tenth of a second of the clip is louder than silence."""
    samples = array("h", pcm)
    frames = (samples[at : at + LEVEL_FRAME_SAMPLES] for at in range(0, len(samples), LEVEL_FRAME_SAMPLES))
    return any(sum(map(operator.mul, frame, frame)) > SILENCE_RMS**2 * len(frame) for frame in frames)


class Script:
    """A recogniser that returns given words, or the result of a function. `calls` keeps every (pcm, language)."""

    def __init__(self, words: Sequence[Word] | Callable[[bytes, str], Sequence[Word]] = ()) -> None:
        self._words = words
        self.calls: list[tuple[bytes, str]] = []

    def words(self, pcm: bytes, language: str) -> list[Word]:
        self.calls.append((pcm, language))
        return list(self._words(pcm, language) if callable(self._words) else self._words)


class HelloWorld:
    """A recogniser that costs nothing. Its two words cover every clip from end to end, and it keeps no clip."""

    def words(self, pcm: bytes, language: str) -> list[Word]:  # noqa: ARG002  # the protocol's signature
        half = len(pcm) / BYTES_PER_SECOND / 2
        return [Word("hello", 0.0, half), Word("world", half, half)]


class PocketSphinx:
    """English recognition in `processes` worker processes of about 140 MB each; a context manager.

    It recognises every other language as if it were English, and logs that once.
    """

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._workers: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False

    def __enter__(self) -> Self:
        for _ in range(self._processes):
            self._start_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the workers."""
        return [worker.pid for worker in list(self._workers)]

    def ready(self) -> None:
        """Wait until every worker has loaded its model. Raises RecognitionFailed if one cannot load it."""
        for worker in list(self._workers):
            worker.ready()

    def words(self, pcm: bytes, language: str) -> list[Word]:
        self._warn_of_english(language)
        if not has_sound(pcm):
            return []  # pocketsphinx finds words in digital silence
        worker = self._idle.get()
        try:
            words = worker.words(pcm)
        except (OSError, ValueError) as error:  # the pipe broke, or was closed
            self._replace(worker)
            raise RecognitionFailed(WORKER_ENDED) from error
        except RecognitionFailed:
            self._replace(worker)
            raise
        self._idle.put(worker)
        return words

    def close(self) -> None:
        """End the workers. A recognition in progress raises RecognitionFailed."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.stop()

    def _start_worker(self) -> None:
        worker = _Worker()
        self._workers.add(worker)
        self._idle.put(worker)

    def _replace(self, worker: "_Worker") -> None:
        with self._lock:
            if self._closed:
                self._idle.put(worker)  # so that every thread that waits for it fails at once, in turn
                return
            self._workers.discard(worker)
            self._start_worker()
        worker.stop()

    def _warn_of_english(self, language: str) -> None:
        if not language.lower().startswith("en") and not self._warned:
            self._warned = True
            log.warning("the local recogniser knows English only: %s is recognised as English", language)


class _Worker:
    """A child process that runs `worker.py`. Samples go in on a pipe, and a JSON line of words comes out."""

    def __init__(self) -> None:
        # In a session of its own it gets no Ctrl-C from the terminal. The parent handles that, and closes the pipe.
        process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._process = process
        self.pid = process.pid
        self._samples, self._answers = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        self._loading = threading.Lock()
        self._loaded = False

    def ready(self) -> None:
        with self._loading:
            if not self._loaded:
                self._answer()
                self._loaded = True

    def words(self, pcm: bytes) -> list[Word]:
        self.ready()
        self._samples.write(struct.pack("<I", len(pcm)) + pcm)
        self._samples.flush()
        return [Word(text, start, duration) for text, start, duration in self._answer()]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(WORKER_STOP_SECONDS)
        for pipe in (self._samples, self._answers):
            with suppress(OSError):  # a dead child reads no more data
                pipe.close()

    def _answer(self) -> list[tuple[str, float, float]]:
        line = self._answers.readline()
        if not line:
            raise RecognitionFailed(WORKER_ENDED)
        answer: list[tuple[str, float, float]] = json.loads(line)
        return answer
