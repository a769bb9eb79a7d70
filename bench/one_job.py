"""A process that does one job: `python -m bench.one_job NAME`. Prints the most memory that it had, in bytes."""

import os
import re
import resource
import sys
from pathlib import Path

from transcription import job


def peak_bytes() -> int:
    """Since the process began its program; what `getrusage` says on Linux includes its parent's at the fork."""
    if (status := Path("/proc/self/status")).exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        assert found
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    job.for_this_process().run(os.environ["AUDIO_CONTAINER"], sys.argv[1])
    print(peak_bytes())
