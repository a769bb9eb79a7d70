"""Thousands of invocations in one process of Microsoft's worker code: no file stays open, and memory does not grow."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.host.functions import BlobTrigger, trigger
from local.host.standin import invocation
from local.host.worker import Worker
from local.speech import Fault
from local.tools import PROJECT
from tests.soak.harness import Content, Harness, SoakApp, app_process, contents
from tests.soak.report import Result, Tally
from tests.support.recordings import made

BAR = "soak in Microsoft's worker code"
AT_ONCE = 8
WARM_UP = 0.2  # of all invocations: pools fill, allocators find their size
MOST_FILES, MOST_MEGABYTES = 10, 20.0
WAIT_SECONDS = 120.0
#: What the invocations are for, in turn.
KINDS = ("wav", "again", "wav", "m4a", "again", "gone", "wav", "broken", "throttled", "again")
#: What comes of those in which nothing is understood.
ENDS = {"m4a": "NothingRecognized", "broken": "UnsupportedAudio"}


def run(harness: Harness) -> Result:
    found, recognizer = contents(4)
    count = harness.number(10_000, 100)
    tally = Tally(BAR, count)
    with harness.app(recognizer) as app, worker(app) as (process, watched):
        load = Load(app, process, watched, found)
        warm = int(count * WARM_UP)
        tally.each(load.one, range(warm), AT_ONCE)
        before = load.measure()
        tally.each(load.one, range(warm, count), AT_ONCE)
        after = load.measure()
    files, megabytes = after[0] - before[0], after[1] - before[1]
    if not harness.quick and (abs(files) > MOST_FILES or megabytes > MOST_MEGABYTES):
        tally.ran(f"{files:+} open files, {megabytes:+.1f} MB")
    kinds = ", ".join(f"{number} {kind}" for kind, number in load.kinds.items())
    return tally.result(
        f"{kinds}; open files {before[0]} → {after[0]}, memory {before[1]:.0f} → {after[1]:.0f} MB after {warm}"
    )


class Load:
    """One invocation after another, of every kind that a day brings."""

    def __init__(self, app: SoakApp, process: Worker, watched: BlobTrigger, found: list[Content]) -> None:
        self.kinds: Counter[str] = Counter()
        self._app, self._process, self._watched, self._found = app, process, watched, found
        self._m4a = made("m4a")
        app.upload("again.wav", found[0].wav)

    def one(self, number: int) -> str | None:
        kind = KINDS[number % len(KINDS)]
        self.kinds[kind] += 1
        name = "again.wav" if kind == "again" else f"{number % 500}.wav"
        content = self._found[0 if kind == "again" else number % len(self._found)]
        if kind == "throttled":
            self._app.endpoint.faults.append(Fault.status(429, headers={"Retry-After": "1"}))
        uploaded = {"wav": content.wav, "throttled": content.wav, "m4a": self._m4a, "broken": content.wav[:50]}
        if kind in uploaded:
            self._app.upload(name, uploaded[kind])
        elif kind == "gone":
            name = "gone.wav"
        error = self._invoke(name)
        if error or kind == "gone":
            return error
        if kind in ("wav", "throttled", "again"):
            return self._app.right(name, content)
        document = self._app.read(name)
        came_of_it = document.get("error", {}).get("code", document["status"])
        return None if came_of_it == ENDS[kind] else f"{name} ({kind}): {came_of_it}"

    def _invoke(self, name: str) -> str | None:
        value = {"Connection": "AudioStorage", "ContainerName": self._app.audio.container_name, "BlobName": name}
        return self._process.invoke(invocation(self._watched, {"blob": value}, {})).result(WAIT_SECONDS)

    def measure(self) -> tuple[int, float]:
        """Open files, and MB in memory."""
        place = Path(f"/proc/{self._process.pid}")
        status = (place / "status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return len(list((place / "fd").iterdir())), resident / 1024


@contextmanager
def worker(app: SoakApp) -> Iterator[tuple[Worker, BlobTrigger]]:
    """The app as it is deployed, and the trigger of its function `transcribe`."""
    environ = {"PATH": os.environ["PATH"], "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan", **app.environ}
    process = Worker(app_process(), PROJECT, environ)
    try:
        functions = process.start()
        transcribe = next(function for function in functions if function["name"] == "transcribe")
        watched = trigger("transcribe", transcribe["bindings"], environ)
        assert isinstance(watched, BlobTrigger)
        yield process, watched
    finally:
        process.stop()
