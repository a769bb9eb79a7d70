"""Uploads files made to do harm to an app, and transcribes ordinary recordings in the same process meanwhile.

Some decoders break in ways that no known file causes: they abort, loop, or allocate 4 GB. Each such upload has to end
as UnsupportedAudio. The ordinary recordings have to be transcribed in their usual time.
"""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing

from tests.soak.harness import SHORT, Content, Harness, SoakApp, make_contents
from tests.soak.neighbour import MORE_SECONDS, PAUSE_SECONDS, SLOWER
from tests.soak.report import Result, Tally
from tests.support.attack_files import MANY_PACKETS, UNUSUAL_PAIRS
from tests.support.broken_decoder import broken_decoders
from tests.support.media_files import encode
from tests.support.recordings import decode, encode_as
from transcription import job
from transcription.job import Job

BAR = "harm next to ordinary recordings"
BROKEN = ("abort", "loop", "allocate 4 GB")
ATTACKS: Mapping[str, Callable[[], bytes]] = {**MANY_PACKETS, **UNUSUAL_PAIRS}
AT_ONCE = 4
RUNS_ALONE = 3


def run(harness: Harness) -> Result:
    attacks = [*BROKEN, *list(ATTACKS)[:: harness.number(1, 5)]] * harness.number(5, 1)
    contents, recognizer = make_contents(1, SHORT)
    tally = Tally(BAR, len(attacks) + 1)
    with harness.app(recognizer) as app:
        ordinary, usual = _Ordinary(app, contents[0]), app.job()
        ordinary.transcribe(usual)  # starts the decoders
        alone = statistics.median(ordinary.transcribe(usual) for _ in range(RUNS_ALONE))
        stop = threading.Event()
        together = [0.0]

        def transcribe_others() -> None:
            while not stop.wait(PAUSE_SECONDS):
                together.append(ordinary.transcribe(usual))

        thread = threading.Thread(target=transcribe_others)
        thread.start()
        tally.run_each(lambda numbered: _attack(app, usual, *numbered), list(enumerate(attacks)), at_once=AT_ONCE)
        stop.set()
        thread.join()
        problem = ordinary.problem
        if max(together) > SLOWER * alone + MORE_SECONDS:
            problem = problem or f"a recording took {max(together):.2f} s instead of {alone:.2f} s"
        tally.count(problem)
    return tally.result(
        f"{len(attacks)} harmful uploads, {AT_ONCE} at once, next to {len(together) - 1} ordinary ones, which took"
        f" up to {max(together):.2f} s, and {alone:.2f} s alone"
    )


class _Ordinary:
    """A recording that needs a decoder, uploaded again and again. `problem` is the first one."""

    def __init__(self, app: SoakApp, content: Content) -> None:
        self.problem: str | None = None
        self._app, self._content = app, content
        self._file = encode(decode(content.wav)[1], "flac", "flac")
        self._number = 0

    def transcribe(self, job: Job) -> float:
        """Transcribe it, and return the seconds that it took."""
        self._number += 1
        name = f"ordinary-{self._number}.flac"
        self._app.upload(name, self._file)
        started = time.perf_counter()
        self._app.deliver(lambda: job, name)
        seconds = time.perf_counter() - started
        self.problem = self.problem or self._app.problem(name, self._content)
        return seconds


def _attack(app: SoakApp, usual: Job, number: int, attack: str) -> str | None:
    """Upload something harmful, and return the problem with its document."""
    name = f"{number}.webm"
    if attack in BROKEN:
        app.upload(name, encode_as("webm with opus"))
        with closing(broken_decoders(attack)) as decoders:
            broken = job.build(app.environ, app.clock, app.queue, decoders)
            app.deliver(lambda: broken, name)
    else:
        app.upload(name, ATTACKS[attack]())
        app.deliver(lambda: usual, name)
    error = app.read(name)["error"] or {}
    return None if error.get("code") == "UnsupportedAudio" else f"{attack}: {error}"
