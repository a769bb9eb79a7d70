"""Runs the stand-in in a process of its own, so that neither its memory nor its CPU time counts as its client's."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.speech.wire import Received
from local.tools import PROJECT, child_environment


class SpeechProcess:
    """A running `python -m local.speech`."""

    def __init__(self, process: "subprocess.Popen[str]", *, tls: bool) -> None:
        self._process = process
        self.port = int(self._line())
        self.url = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def received(self) -> list[Received]:
        """Return all requests so far, in order of arrival, without their audio."""
        assert self._process.stdin is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return [Received(**request) for request in json.loads(self._line())]

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def speech_process(
    key: str,
    *,
    fixed: float = 0.0,
    share: float = 0.0,
    quota: int | None = None,
    retry_after: int | None = None,
    certificate: Path | None = None,
) -> Iterator[SpeechProcess]:
    """Run a stand-in that answers after `fixed` seconds and `share` seconds per second of audio.

    It refuses more than `quota` recognitions at once, and asks to wait for `retry_after` seconds.
    With a certificate for localhost, it speaks TLS.
    """
    options = [f"--key={key}", f"--fixed={fixed}", f"--share={share}"]
    options += [] if quota is None else [f"--quota={quota}"]
    options += [] if retry_after is None else [f"--retry-after={retry_after}"]
    options += [f"--certificate={certificate}"] if certificate else []
    with subprocess.Popen(
        [sys.executable, "-m", "local.speech", *options],
        cwd=PROJECT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield SpeechProcess(process, tls=certificate is not None)
        finally:
            process.terminate()
