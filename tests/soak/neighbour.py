"""An ordinary recording that is decoded again and again beside hostile files, with the same decoders."""

import io
import statistics
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from tests.support.media_files import encode
from tests.support.recordings import SPEECH
from transcription.audio.decoders import Decoders
from transcription.audio.recording import open_recording
from transcription.errors import TranscriptionError

REPEATED = 4  # times three seconds of speech
PAUSE_SECONDS = 0.5  # between two recordings; they should not take most of the machine
RUNS_ALONE = 5
SLOWER = 5.0  # times as long as alone; hostile files and their decoders share the processors with it
MORE_SECONDS = 2.0  # a decoder may have to be started while others start too


@dataclass(frozen=True)
class Report:
    """The recordings that were decoded, the seconds that they took, and the first problem."""

    recordings: int
    alone: float
    longest: float
    problem: str | None


class Neighbour:
    """Decodes from `with` on, until its end."""

    def __init__(self, decoders: Decoders) -> None:
        """Decode alone first, to learn the samples and the usual time."""
        self._decoders = decoders
        self._content = encode(np.tile(SPEECH, REPEATED), "ipod", "aac", rate=44_100)
        self._samples = self._decode()
        self._alone = statistics.median(self._timed()[0] for _ in range(RUNS_ALONE))
        self._longest, self._recordings = 0.0, 0
        self._problem: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Neighbour":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def problem_now(self) -> str | None:
        """Decode once more in this thread, and return the problem, if any."""
        return self._timed()[1]

    @property
    def report(self) -> Report:
        return Report(self._recordings, self._alone, self._longest, self._problem)

    def _run(self) -> None:
        most = SLOWER * self._alone + MORE_SECONDS
        while not self._stop.wait(PAUSE_SECONDS):
            seconds, problem = self._timed()
            self._recordings += 1
            self._longest = max(self._longest, seconds)
            if not problem and seconds > most:
                problem = f"it took {seconds:.2f} s instead of {self._alone:.2f} s"
            self._problem = self._problem or problem

    def _timed(self) -> tuple[float, str | None]:
        started = time.perf_counter()
        try:
            problem = None if self._decode() == self._samples else "it gave other samples"
        except (TranscriptionError, OSError, EOFError) as error:
            problem = f"{type(error).__name__}: {error}"
        return time.perf_counter() - started, problem

    def _decode(self) -> bytes:
        file = io.BytesIO(self._content)
        with closing(open_recording(file, len(self._content), self._decoders, lambda: None)) as recording:
            return b"".join(recording.blocks())
