"""What `make demo` prints, and its exit status."""

import json
from pathlib import Path
from typing import Any

import pytest

from local import demo as demo_module
from local.__main__ import main
from local.demo import SAMPLE, clock, demo, render
from tests.local.host_app import bare_environment

DOCUMENT: dict[str, Any] = {
    "status": "Partial",
    "language": "en-US",
    "durationSeconds": 83.26,
    "phrases": [
        {"offsetSeconds": 0.42, "durationSeconds": 3.1, "text": "Good morning."},
        {"offsetSeconds": 62.0, "durationSeconds": 3.1, "text": "long " * 30},
    ],
    "gaps": [{"offsetSeconds": 40.0, "durationSeconds": 2.2, "reason": "NoMatch"}],
}


def test_a_transcript_is_a_text_with_times() -> None:
    lines = render(DOCUMENT, "meeting.wav")
    assert lines[0] == "  meeting.wav  ·  en-US  ·  1:23.3  ·  Partial"
    assert lines[2] == "    0:00.4  Good morning."
    assert lines[3].startswith("    1:02.0  long long")
    assert lines[4].startswith("            long")
    assert lines[-1] == "    0:40.0  [2.2 s without words: NoMatch]"
    assert max(map(len, lines)) <= demo_module.WIDTH


def test_a_failure_tells_its_code_and_what_to_do() -> None:
    error = {"code": "Configuration", "message": "The key was refused.", "tryAgain": True}
    text = "\n".join(render({"status": "Failed", "error": error}, "a.wav"))
    assert "Configuration: The key was refused." in text
    assert "Check the settings" in text


def test_silence_is_said_so() -> None:
    assert "Nobody speaks" in "\n".join(render({"status": "NoSpeech", "durationSeconds": 3.0}, "a.wav"))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (83.26, "1:23.3"), (3599.9, "59:59.9"), (3723.0, "1:02:03"), (None, "")],
)
def test_times_read_as_on_a_clock(seconds: float | None, shown: str) -> None:
    assert clock(seconds) == shown


def test_a_missing_file_is_told_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(Path("/no/such/file.wav"), {}) == 1
    assert capsys.readouterr().out == "There is no file /no/such/file.wav. AUDIO is the path of a recording.\n"


def test_the_sample_becomes_a_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "COPIES", tmp_path)
    assert demo(SAMPLE, bare_environment()) == 0
    document = json.loads((tmp_path / "sample.wav.json").read_text())
    assert document["status"] == "Succeeded"
    assert f"{tmp_path}/sample.wav.json" in capsys.readouterr().out


def test_what_is_no_audio_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "COPIES", tmp_path)
    (tmp_path / "text.wav").write_text("This is a letter.")
    assert demo(tmp_path / "text.wav", bare_environment()) == 1
    assert "UnsupportedAudio" in capsys.readouterr().out
    assert json.loads((tmp_path / "text.wav.json").read_text())["status"] == "Failed"


def test_a_wrong_port_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["local", "demo"])
    monkeypatch.setattr("local.__main__.log_to_file", lambda _: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("LOCAL_BLOB_PORT", "ten")
    assert main() == 1
    assert "LOCAL_BLOB_PORT is 'ten'" in capsys.readouterr().out
