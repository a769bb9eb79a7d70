"""A process of the app, for the bar on quotas: `python -m tests.soak.quota_child`, with the app settings.

It says `ready`. Each line of standard input is a JSON list of uploads, which it then transcribes. It answers with one
line of JSON: the seconds that took, and the peak of its memory in MB. It ends when its input ends.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.progress import say
from transcription.clock import SystemClock
from transcription.job import build

AT_ONCE = 16  # uploads, as the host has them


def main() -> None:
    job, container = build(os.environ, SystemClock()), os.environ["AUDIO_CONTAINER"]
    say("ready")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin:
            started = time.monotonic()
            list(pool.map(lambda name: job.run(container, name), json.loads(line)))
            seconds = time.monotonic() - started
            say(json.dumps({"seconds": seconds, "megabytes": peak_megabytes()}))


def peak_megabytes() -> float:
    """Return the most memory that this process had. `getrusage` would count its parent's at the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
