"""Runs thousands of invocations in one process of Microsoft's worker code: neither open files nor memory may grow."""

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
from tests.soak.harness import LONG, SHORT, Content, Harness, SoakApp, app_process, make_contents
from tests.soak.report import Result, Tally
from tests.support.recordings import encode_as

BAR = "soak in Microsoft's worker code"
AT_ONCE = 8
WARM_UP = 0.2  # of all invocations; until then pools fill and allocators find their size
MOST_FILES = 10  # opened after the warm-up
MOST_MEGABYTES = 20.0  # of memory, allocated after the warm-up
MOST_MEGABYTES_QUICK = 40.0  # in a quick run, whose warm-up is too short for the allocators
WAIT_SECONDS = 120.0
KINDS = ("wav", "again", "wav", "m4a", "again", "gone", "wav", "broken", "throttled", "again")  # in turn
EXPECTED_CODES = {"m4a": "NothingRecognized", "broken": "UnsupportedAudio"}


def run(harness: Harness) -> Result:
    contents, recognizer = make_contents(4, SHORT, LONG)
    count = harness.number(10_000, 100)
    tally = Tally(BAR, count)
    with harness.app(recognizer) as app, worker(app) as (process, blob_trigger):
        load = Load(app, process, blob_trigger, contents)
        warm = int(count * WARM_UP)
        tally.run_each(load.run_one, range(warm), AT_ONCE)
        files_before, megabytes_before = load.measure()
        tally.run_each(load.run_one, range(warm, count), AT_ONCE)
        files_after, megabytes_after = load.measure()
    files, megabytes = files_after - files_before, megabytes_after - megabytes_before
    most_megabytes = MOST_MEGABYTES_QUICK if harness.quick else MOST_MEGABYTES
    if abs(files) > MOST_FILES or megabytes > most_megabytes:
        tally.count(f"{files:+} open files, {megabytes:+.1f} MB")
    kinds = ", ".join(f"{number} {kind}" for kind, number in load.kinds.items())
    return tally.result(
        f"{kinds}; open files {files_before} → {files_after},"
        f" memory {megabytes_before:.0f} → {megabytes_after:.0f} MB after {warm}"
    )


class Load:
    """Invocations of every kind that occurs in production."""

    def __init__(self, app: SoakApp, process: Worker, blob_trigger: BlobTrigger, contents: list[Content]) -> None:
        self.kinds: Counter[str] = Counter()
        self._app, self._process, self._trigger, self._contents = app, process, blob_trigger, contents
        self._m4a = encode_as("m4a")
        app.upload("again.wav", contents[0].wav)

    def run_one(self, number: int) -> str | None:
        """Run one invocation and return the problem with its outcome, if any."""
        kind = KINDS[number % len(KINDS)]
        self.kinds[kind] += 1
        name = "again.wav" if kind == "again" else f"{number % 500}.wav"
        content = self._contents[0 if kind == "again" else number % len(self._contents)]
        if kind == "throttled":
            self._app.endpoint.faults.append(Fault.status(429, headers={"Retry-After": "1"}))
        audio = {"wav": content.wav, "throttled": content.wav, "m4a": self._m4a, "broken": content.wav[:50]}
        if kind in audio:
            self._app.upload(name, audio[kind])
        elif kind == "gone":
            name = "gone.wav"
        error = self._invoke(name)
        if error or kind == "gone":
            return error
        if kind in ("wav", "throttled", "again"):
            return self._app.problem(name, content)
        document = self._app.read(name)
        code = document.get("error", {}).get("code", document["status"])
        return None if code == EXPECTED_CODES[kind] else f"{name} ({kind}): {code}"

    def _invoke(self, name: str) -> str | None:
        value = {"Connection": "AudioStorage", "ContainerName": self._app.audio.container_name, "BlobName": name}
        return self._process.invoke(invocation(self._trigger, {"blob": value}, {})).result(WAIT_SECONDS)

    def measure(self) -> tuple[int, float]:
        """Return the number of open files, and the memory in MB."""
        process = Path(f"/proc/{self._process.pid}")
        status = (process / "status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return len(list((process / "fd").iterdir())), resident / 1024


@contextmanager
def worker(app: SoakApp) -> Iterator[tuple[Worker, BlobTrigger]]:
    """Yield a process with the app as it is deployed, and the trigger of its function `transcribe`."""
    environ = {"PATH": os.environ["PATH"], "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan", **app.environ}
    process = Worker(app_process(), PROJECT, environ)
    try:
        functions = process.start()
        transcribe = next(function for function in functions if function["name"] == "transcribe")
        blob_trigger = trigger("transcribe", transcribe["bindings"], environ)
        assert isinstance(blob_trigger, BlobTrigger)
        yield process, blob_trigger
    finally:
        process.stop()
