"""`python -m local.speech` prints its port, answers requests for reports, and ends with its input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import trustme

from local.tools import PROJECT
from tests.support.speech_requests import HEADERS, PATH, tone, wav

COMMAND = [sys.executable, "-m", "local.speech"]


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Path:
    """Return a file with a key and certificate of localhost. Its authority is in `ca.pem` next to it."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "localhost.pem")
    return tmp_path / "localhost.pem"


def start(*options: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen([*COMMAND, *options], cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)


def test_it_prints_its_port_then_a_report_for_each_line_and_ends_with_its_input() -> None:
    with start() as process:
        output, _ = process.communicate("report\nreport\n", timeout=30)
    port, *reports = output.splitlines()
    assert int(port) > 0
    assert list(map(json.loads, reports)) == [[], []]
    assert process.returncode == 0


def test_with_a_certificate_it_speaks_tls(certificate: Path, session: requests.Session) -> None:
    with start(f"--certificate={certificate}") as process:
        assert process.stdout is not None
        url = f"https://localhost:{int(process.stdout.readline())}{PATH}?language=en-US"
        session.verify = str(certificate.with_name("ca.pem"))
        answer = session.post(url, data=iter([wav(tone(0.1))]), headers=HEADERS, timeout=10)
        assert answer.json()["DisplayText"] == "Hello world."
        process.communicate(timeout=30)
