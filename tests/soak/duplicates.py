"""Delivers several events for each upload, in random order: each gets one right document and is paid for once."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.soak.harness import Content, Harness, SoakApp, make_contents, upload_all
from tests.soak.report import Result, Tally
from transcription.transcriber import Transcriber

BAR = "duplicates"
EVENTS = 5
AT_ONCE = 16


class _Passes:
    """Counts the passes of recordings to the service, and the overlaps between two events of one upload.

    An overlapping event may cost another pass: it cannot know that the first one will succeed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._finished: set[str] = set()
        self.overlapping = 0
        self.made = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        transcribe = Transcriber.transcribe

        def counted_transcribe(*arguments: Any) -> Any:
            with self._lock:
                self.made += 1
            return transcribe(*arguments)

        with mock.patch.object(Transcriber, "transcribe", counted_transcribe):
            yield

    def begin(self, name: str) -> None:
        """Count an event that begins. It overlaps if another one is running and none has ended yet."""
        with self._lock:
            if name not in self._finished and self._running[name]:
                self.overlapping += 1
            self._running[name] += 1

    def end(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            self._finished.add(name)


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(8)
    count = harness.number(500, 40)
    with harness.app(recognizer) as app:
        uploads = upload_all(app, [f"{number}.wav" for number in range(count)], contents)
        events = [name for name in uploads for _ in range(EVENTS)]
        random.Random(5).shuffle(events)
        return _deliver(app, uploads, events)


def _deliver(app: SoakApp, uploads: dict[str, Content], events: list[str]) -> Result:
    tally, passes, job = Tally(BAR, len(events)), _Passes(), app.job()

    def deliver_event(name: str) -> str | None:
        passes.begin(name)
        try:
            tries = app.deliver(lambda: job, name)
        finally:
            passes.end(name)
        return f"{name} took {tries} tries" if tries > 1 else None

    with passes.counted():
        tally.run_each(deliver_event, events, AT_ONCE)
    problems = [problem for name, content in uploads.items() if (problem := app.problem(name, content))]
    problems += app.unexpected_outputs(set(uploads), kinds=())
    if passes.made > len(uploads) + passes.overlapping:
        problems.append(
            f"{passes.made} Speech passes for {len(uploads)} uploads and {passes.overlapping} overlapping starts"
        )
    for problem in problems:
        tally.count(problem)
    documents = len(app.documents())
    return tally.result(
        f"{len(uploads)} uploads × {EVENTS} events: {documents} documents, {passes.made} Speech passes,"
        f" {passes.overlapping} overlapping starts"
    )
