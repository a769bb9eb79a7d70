"""Runs a program for as long as standard input is open, then ends it and everything it started.

Usage: `python guard.py PROGRAM ARGUMENT…`, in a process group of its own. The parent holds the other end of the input.
However the parent dies, the input closes and the program ends. This file uses the standard library only, because it
runs without site-packages.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 8.0  # between SIGTERM and SIGKILL; Azurite writes its storage to disk in that time


def end_with_input(child: "subprocess.Popen[bytes]") -> None:
    """Wait until the input ends, then end the child."""
    while os.read(0, 4096):
        pass
    child.terminate()
    threading.Timer(GRACE_SECONDS, child.kill).start()


def main() -> None:
    """Run the program, then kill the whole process group, this process included, so that no grandchild survives."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=end_with_input, args=(child,), daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
