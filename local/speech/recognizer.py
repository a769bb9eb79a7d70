"""Who turns samples into words: pocketsphinx for a developer's machine, a script for tests.

pocketsphinx because its wheel carries an English model, so that recognition works offline and for nothing. It holds the
GIL while it works, so it runs in worker processes. They are plain child processes on a pipe, not a process pool of the
standard library's: a worker ends by itself when its pipe closes, so that nothing outlives a parent that was killed.
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

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SECOND = SAMPLE_RATE_HZ * 2
SILENCE_RMS = 100  # of 32,767, about -50 dBFS: below it, nobody speaks
LEVEL_FRAME_SAMPLES = SAMPLE_RATE_HZ // 10
WORKER = Path(__file__).with_name("worker.py")
WORKER_STOP_SECONDS = 5.0
WORKER_ENDED = "a pocketsphinx worker ended; its last words are on standard error"

log = logging.getLogger("local.speech")


class RecognitionFailed(Exception):
    """The recogniser broke; the endpoint answers `RecognitionStatus: Error`, as the service does."""


@dataclass(frozen=True)
class Word:
    """One recognised word; times in seconds from the clip's start."""

    text: str
    start: float
    duration: float

    @property
    def end(self) -> float:
        return self.start + self.duration


class Recognizer(Protocol):
    def words(self, pcm: bytes, language: str) -> list[Word]:
        """The words of a clip, in order. `pcm` is 16 kHz mono s16le. May raise RecognitionFailed."""
        ...


def has_sound(pcm: bytes) -> bool:
    """Whether any tenth of a second of the clip is louder than silence."""
    samples = array("h", pcm)
    frames = (samples[at : at + LEVEL_FRAME_SAMPLES] for at in range(0, len(samples), LEVEL_FRAME_SAMPLES))
    return any(sum(map(operator.mul, frame, frame)) > SILENCE_RMS**2 * len(frame) for frame in frames)


class Script:
    """Answers with given words, or with what a function makes of the clip; `calls` has every (pcm, language)."""

    def __init__(self, words: Sequence[Word] | Callable[[bytes, str], Sequence[Word]] = ()) -> None:
        self._words = words
        self.calls: list[tuple[bytes, str]] = []

    def words(self, pcm: bytes, language: str) -> list[Word]:
        self.calls.append((pcm, language))
        return list(self._words(pcm, language) if callable(self._words) else self._words)


class PocketSphinx:
    """English recognition in `processes` worker processes, about 140 MB each; a context manager.

    Another language is recognised as if it were English, and the log says so once: this is a stand-in.
    """

    def __init__(self, processes: int = 2) -> None:
        self._processes = processes
        self._workers: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._said_english_only = False

    def __enter__(self) -> Self:
        for _ in range(self._processes):
            self._hire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [worker.pid for worker in list(self._workers)]

    def ready(self) -> None:
        """Wait until every worker has its model loaded. Raises RecognitionFailed where one cannot load it."""
        for worker in list(self._workers):
            worker.ready()

    def words(self, pcm: bytes, language: str) -> list[Word]:
        self._say_english_only(language)
        if not has_sound(pcm):
            return []  # pocketsphinx hears words in digital silence
        worker = self._idle.get()
        try:
            words = worker.words(pcm)
        except (OSError, ValueError) as error:  # its pipe broke, or was closed
            self._replace(worker)
            raise RecognitionFailed(WORKER_ENDED) from error
        except RecognitionFailed:
            self._replace(worker)
            raise
        self._idle.put(worker)
        return words

    def close(self) -> None:
        """End the workers, also in the middle of a recognition, which then raises RecognitionFailed."""
        with self._lock:
            self._closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.stop()

    def _hire(self) -> None:
        worker = _Worker()
        self._workers.add(worker)
        self._idle.put(worker)

    def _replace(self, worker: "_Worker") -> None:
        with self._lock:
            if self._closed:
                self._idle.put(worker)  # whoever waits for it fails at once, in turn
                return
            self._workers.discard(worker)
            self._hire()
        worker.stop()

    def _say_english_only(self, language: str) -> None:
        if not language.lower().startswith("en") and not self._said_english_only:
            self._said_english_only = True
            log.warning("the local recogniser knows English only: %s is recognised as English", language)


class _Worker:
    """One child process that runs `worker.py`: samples in on a pipe, a JSON line of words out."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C in the terminal is the parent's to handle, and the pipe's end stops the child.
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
            with suppress(OSError):  # what could not be flushed to a dead child
                pipe.close()

    def _answer(self) -> list[tuple[str, float, float]]:
        line = self._answers.readline()
        if not line:
            raise RecognitionFailed(WORKER_ENDED)
        answer: list[tuple[str, float, float]] = json.loads(line)
        return answer
