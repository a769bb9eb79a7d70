"""`python -m local demo [--audio PATH]` and `python -m local start`."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from azure.core.exceptions import AzureError

from local.azurite import AzuriteError
from local.demo import SAMPLE, NoTranscript, demo
from local.host import HostError
from local.progress import say
from local.stack import DEMO_LOG, START_LOG, WrongSetting, log_to_file
from local.start import start
from local.tools import ToolError

INTERRUPTED = 130  # the exit status that shells use for a program ended by Ctrl-C


def main() -> int:
    """Run a command and return the exit status. `start` is meant to be interrupted, so then its status is 0."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo").add_argument("--audio", type=Path, default=SAMPLE)
    commands.add_parser("start")
    arguments = parser.parse_args()
    # SIGINT too: shells make background jobs ignore it, and then nothing would stop the stack.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)
    log_to_file(DEMO_LOG if arguments.command == "demo" else START_LOG)
    try:
        if arguments.command == "demo":
            return demo(arguments.audio, os.environ)
        start(os.environ)
    except KeyboardInterrupt:
        say("\nStopped.")
        return INTERRUPTED if arguments.command == "demo" else 0
    except (ToolError, AzuriteError, HostError, NoTranscript, WrongSetting, AzureError) as error:
        say(str(error))
        return 1
    return 0


def interrupt(_signum: int, _frame: FrameType | None) -> None:
    """End the stack on SIGTERM or a closed terminal as on Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
