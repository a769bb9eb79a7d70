"""Child processes: programs to measure, and a Speech stand-in that must not be measured."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import trustme

from local.speech.process import SpeechProcess, speech_process
from local.tools import LOCAL, PROJECT, child_environment

WORK = LOCAL / "bench"
NO_STORAGE = "https://localhost"
KEY = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Ended:
    """The output of a program, and the CPU time that it and its own children took."""

    output: bytes
    cpu_seconds: float


def run(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Run a program to its end. Raises CalledProcessError if it fails."""
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


@dataclass(frozen=True)
class Latency:
    """The time of the service's answer: `fixed` seconds, and `share` seconds per second of audio."""

    fixed: float = 0.0
    share: float = 0.0

    def of(self, audio_seconds: float) -> float:
        return self.fixed + self.share * audio_seconds


def speech_service(latency: Latency, *, tls: bool = False) -> AbstractContextManager[SpeechProcess]:
    """Run a stand-in of the Speech service that takes the benchmark's key."""
    return speech_process(
        KEY, fixed=latency.fixed, share=latency.share, certificate=localhost_certificate() if tls else None
    )


def localhost_certificate() -> Path:
    """Return the file with key and certificate of `localhost`. Make it, and its authority, if it is missing."""
    file = WORK / "localhost.pem"
    if not file.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(authority_file())
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(file)
    return file


def authority_file() -> Path:
    return WORK / "ca.pem"


def speech_settings(url: str) -> dict[str, str]:
    """Return the app settings of a process that sends clips to this URL."""
    settings = {
        "AZURE_SPEECH_ENDPOINT": url,
        "AZURE_SPEECH_KEY": KEY,
        "AudioStorage__blobServiceUri": NO_STORAGE,
        "AudioStorage__queueServiceUri": NO_STORAGE,
    }
    return settings | ({"REQUESTS_CA_BUNDLE": str(authority_file())} if url.startswith("https") else {})
