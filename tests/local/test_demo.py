"""The output and exit status of `make demo`."""

import json
from pathlib import Path
from typing import Any

import pytest

from local import demo as demo_module
from local.demo import SAMPLE, clock, demo, render
from tests.support.processes import bare_environment

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


def test_a_transcript_is_printed_with_times_and_gaps() -> None:
    lines = render(DOCUMENT, "meeting.wav")
    assert lines[0] == "  meeting.wav  ·  en-US  ·  1:23.3  ·  Partial"
    assert lines[2] == "    0:00.4  Good morning."
    assert lines[3].startswith("    1:02.0  long long")
    assert lines[4].startswith("            long")
    assert lines[-1] == "    0:40.0  [2.2 s without words: NoMatch]"
    assert max(map(len, lines)) <= demo_module.WIDTH


def test_a_failure_shows_its_code_and_what_to_do() -> None:
    error = {"code": "Configuration", "message": "The key was refused.", "tryAgain": True}
    text = "\n".join(render({"status": "Failed", "error": error}, "a.wav"))
    assert "Configuration: The key was refused." in text
    assert "Check the settings" in text


def test_a_recording_without_speech_says_so() -> None:
    assert "There is no speech" in "\n".join(render({"status": "NoSpeech", "durationSeconds": 3.0}, "a.wav"))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (83.26, "1:23.3"), (3599.9, "59:59.9"), (3723.0, "1:02:03"), (None, "")],
)
def test_times_look_like_those_of_a_clock(seconds: float | None, shown: str) -> None:
    assert clock(seconds) == shown


def test_a_missing_file_is_reported_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(Path("/no/such/file.wav"), {}) == 1
    assert capsys.readouterr().out == "There is no file /no/such/file.wav. Set AUDIO to the path of a recording.\n"


def test_the_sample_is_transcribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "COPIES", tmp_path)
    assert demo(SAMPLE, bare_environment()) == 0
    document = json.loads((tmp_path / "sample.wav.json").read_text())
    assert document["status"] == "Succeeded"
    assert f"{tmp_path}/sample.wav.json" in capsys.readouterr().out


def test_a_file_without_audio_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "COPIES", tmp_path)
    (tmp_path / "text.wav").write_text("This is a letter.")
    assert demo(tmp_path / "text.wav", bare_environment()) == 1
    assert "UnsupportedAudio" in capsys.readouterr().out
    assert json.loads((tmp_path / "text.wav.json").read_text())["status"] == "Failed"
