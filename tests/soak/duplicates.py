"""The same uploads, announced again and again and in any order: one right document each, paid for once."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.soak.harness import Content, Harness, SoakApp, contents, in_turn
from tests.soak.report import Result, Tally
from transcription.transcriber import Transcriber

BAR = "duplicates"
EVENTS = 5
AT_ONCE = 16


class _Passes:
    """How often a recording went to the service, and how often two events of one upload overlapped before it was done:
    the second cannot know that the first will end well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._done: set[str] = set()
        self.overlapping = 0
        self.made = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        transcribe = Transcriber.transcribe

        def one_more(*arguments: Any) -> Any:
            with self._lock:
                self.made += 1
            return transcribe(*arguments)

        with mock.patch.object(Transcriber, "transcribe", one_more):
            yield

    def begin(self, name: str) -> None:
        """An event that begins while another one of its upload has not ended yet, the first of all left out."""
        with self._lock:
            if name not in self._done and self._running[name]:
                self.overlapping += 1
            self._running[name] += 1

    def end(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            self._done.add(name)


def run(harness: Harness) -> Result:
    found, recognizer = contents(8)
    uploads = harness.number(500, 40)
    with harness.app(recognizer) as app:
        given = in_turn(app, [f"{number}.wav" for number in range(uploads)], found)
        events = [name for name in given for _ in range(EVENTS)]
        random.Random(5).shuffle(events)
        return _deliver(app, given, events)


def _deliver(app: SoakApp, given: dict[str, Content], events: list[str]) -> Result:
    tally, passes, job = Tally(BAR, len(events)), _Passes(), app.job()

    def event(name: str) -> str | None:
        passes.begin(name)
        try:
            tries = app.deliver(lambda: job, name)
        finally:
            passes.end(name)
        return f"{name} took {tries} tries" if tries > 1 else None

    with passes.counted():
        tally.each(event, events, AT_ONCE)
    wrong = [problem for name, content in given.items() if (problem := app.right(name, content))]
    wrong += app.strangers(set(given), kinds=())
    made = passes.made
    if made > len(given) + passes.overlapping:
        wrong.append(f"{made} Speech passes for {len(given)} uploads and {passes.overlapping} overlapping starts")
    for problem in wrong:
        tally.ran(problem)
    documents = len(app.documents())
    return tally.result(
        f"{len(given)} uploads × {EVENTS} events: {documents} documents, {made} Speech passes,"
        f" {passes.overlapping} overlapping starts"
    )
