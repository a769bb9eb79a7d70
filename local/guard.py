"""Runs a program for as long as standard input is open, then ends it and everything it started.

`python guard.py PROGRAM ARGUMENT…`, in a process group of its own: whoever holds the other end of the input may die in
any way, and the program still ends. Standard library only; it is run without site-packages.
"""

import os
import signal
import subprocess
import sys
import threading

#: From SIGTERM to SIGKILL. Azurite writes its storage to disk in between.
GRACE_SECONDS = 8.0


def end_with_input(child: "subprocess.Popen[bytes]") -> None:
    """Blocks until the input ends."""
    while os.read(0, 4096):
        pass
    child.terminate()
    threading.Timer(GRACE_SECONDS, child.kill).start()


def main() -> None:
    """Takes the whole group down in the end, itself included, so that no grandchild outlives the child."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=end_with_input, args=(child,), daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
