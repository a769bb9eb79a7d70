"""Processes to measure, or to keep out of what is measured."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.service import Request
from local.tools import LOCAL, PROJECT, child_environment

WORK = LOCAL / "bench"
NO_STORAGE = "https://localhost"
KEY = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Ended:
    """What a child wrote, and the CPU time it took with all its own children."""

    output: bytes
    cpu_seconds: float


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Runs a program to its end. CalledProcessError: it failed."""
    with subprocess.Popen(
        arguments, env={**child_environment(), **(environment or {})}, cwd=PROJECT, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, list(arguments))
    return Ended(output, usage.ru_utime + usage.ru_stime)


def python(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    return run([sys.executable, *arguments], environment)


class Service:
    """A running `bench.service`."""

    def __init__(self, process: "subprocess.Popen[str]", *, tls: bool) -> None:
        self._process = process
        self.port = int(self._line())
        self.url = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[Request]:
        """All it was ever sent, in the order of its answers."""
        assert self._process.stdin is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return [Request(**request) for request in json.loads(self._line())]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def service(fixed: float = 0.0, share: float = 0.0, *, tls: bool = False) -> Iterator[Service]:
    """One that answers after `fixed` seconds and `share` seconds for each second of audio."""
    options = [f"--fixed={fixed}", f"--share={share}", *([f"--certificate={certificate()}"] if tls else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "bench.service", *options],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Service(process, tls=tls)
        finally:
            process.terminate()


def certificate() -> Path:
    """Key and certificate of `localhost`, by an authority that `authority()` holds; made where they are not there."""
    file = WORK / "localhost.pem"
    if not file.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(authority())
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    return file


def authority() -> Path:
    return WORK / "ca.pem"


def speech_settings(url: str) -> dict[str, str]:
    """For a process that sends clips to such a service."""
    settings = {
        "AZURE_SPEECH_ENDPOINT": url,
        "AZURE_SPEECH_KEY": KEY,
        "AudioStorage__blobServiceUri": NO_STORAGE,
        "AudioStorage__queueServiceUri": NO_STORAGE,
    }
    return settings | ({"REQUESTS_CA_BUNDLE": str(authority())} if url.startswith("https") else {})
