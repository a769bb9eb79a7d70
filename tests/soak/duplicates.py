"""Delivers several events for each upload, in random order: each gets one right document and is paid for once.

Half of the recordings have one or two clips and keep no progress. Two workers that start one of them at the same moment
may both pay. Nobody ever pays twice for a longer one: one worker claims it, and the others look again later.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.soak.harness import LONG, SHORT, Content, FastClock, Harness, SoakApp, make_contents, upload_all
from tests.soak.report import Result, Tally
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.errors import Claimed
from transcription.speech.turns import Requester
from transcription.transcriber import Transcriber

BAR = "duplicates"
EVENTS = 5
AT_ONCE = 16
SPEED = 300.0  # of the app's clock; an event that meets a claim comes back in under half a second


class _Passes:
    """Counts the passes of each upload to the service, and the overlaps between two events of one upload."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._finished: set[str] = set()
        self.overlapping: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.claimed = 0  # passes that ended before the first request, because another worker was at work

    @contextmanager
    def counted(self) -> Iterator[None]:
        transcribe = Transcriber.transcribe

        def counted_transcribe(
            transcriber: Transcriber, recording: Any, options: Any, usage: Any, requester: Requester, *others: Any
        ) -> Any:
            try:
                transcript = transcribe(transcriber, recording, options, usage, requester, *others)
            except Claimed:
                with self._lock:
                    self.claimed += 1
                raise
            with self._lock:
                self.made[requester.budget.name] += 1
            return transcript

        with mock.patch.object(Transcriber, "transcribe", counted_transcribe):
            yield

    def begin(self, name: str) -> None:
        """Count an event that begins. It overlaps if another one is running and none has ended yet."""
        with self._lock:
            if name not in self._finished and self._running[name]:
                self.overlapping[name] += 1
            self._running[name] += 1

    def end(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            self._finished.add(name)

    def problem(self, name: str, content: Content) -> str | None:
        """Return the problem if the upload was paid for too often."""
        is_long = len(content.wav) >= LONG * BYTES_PER_SECOND
        most = 1 if is_long else 1 + self.overlapping[name]
        return f"{name}: {self.made[name]} passes, {most} are allowed" if self.made[name] > most else None


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(8, SHORT, LONG)
    count = harness.number(500, 40)
    with harness.app(recognizer, FastClock(SPEED)) as app:
        uploads = upload_all(app, [f"{number}.wav" for number in range(count)], contents)
        events = [name for name in uploads for _ in range(EVENTS)]
        random.Random(5).shuffle(events)
        return _deliver(app, uploads, events)


def _deliver(app: SoakApp, uploads: dict[str, Content], events: list[str]) -> Result:
    tally, passes, job = Tally(BAR, len(events)), _Passes(), app.job()

    def deliver_event(name: str) -> None:
        passes.begin(name)
        try:
            app.deliver(lambda: job, name)
        finally:
            passes.end(name)

    with passes.counted():
        tally.run_each(deliver_event, events, AT_ONCE)
    problems = [problem for name, content in uploads.items() if (problem := app.problem(name, content))]
    problems += [problem for name, content in uploads.items() if (problem := passes.problem(name, content))]
    problems += app.unexpected_outputs(set(uploads), kinds=())
    problems += [f"{name} is left" for name in app.progress()]
    for problem in problems:
        tally.count(problem)
    documents = len(app.documents())
    return tally.result(
        f"{len(uploads)} uploads × {EVENTS} events: {documents} documents, {passes.made.total()} Speech passes,"
        f" {passes.overlapping.total()} overlapping starts, {passes.claimed} of them turned away by a claim"
    )
