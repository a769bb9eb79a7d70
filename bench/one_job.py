"""A process that runs one job: `python -m bench.one_job NAME`. It prints its peak memory in bytes."""

import os
import re
import resource
import sys
from pathlib import Path

from transcription import job


def peak_bytes() -> int:
    """Return the peak memory since this program began.

    On Linux `getrusage` does not show it: its figure includes the parent's memory at the fork.
    """
    if (status := Path("/proc/self/status")).exists():
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert peak
        return int(peak[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    job.for_this_process().run(os.environ["AUDIO_CONTAINER"], sys.argv[1])
    print(peak_bytes())
