"""The CPU time and memory of another process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from transcription.audio.process_usage import ProcessUsage

MEGABYTE = 1 << 20
PROGRAM = """
import time
print("ready", flush=True)
input()
ends = time.process_time() + 0.3
while time.process_time() < ends: pass
held = bytearray(b"x") * (40 << 20)
print("done", flush=True)
input()
"""


@contextmanager
def program() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_cpu_time_and_memory_are_those_of_the_process() -> None:
    with program() as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        usage = ProcessUsage(process.pid)
        usage.begin()
        memory = usage.memory_bytes()
        assert usage.cpu_seconds() == 0.0
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        assert 0.25 < usage.cpu_seconds() < 2
        assert 39 * MEGABYTE < usage.memory_bytes() - memory < 60 * MEGABYTE
        usage.begin()
        assert usage.cpu_seconds() == 0.0


def test_a_process_that_has_ended_uses_nothing() -> None:
    with program() as process:
        usage = ProcessUsage(process.pid)
        process.kill()
        process.wait()
        assert usage.memory_bytes() == 0
        assert usage.cpu_seconds() == 0.0
