"""Progress messages: whole lines, at once."""

import subprocess
import sys

import pytest

from local.progress import say, step
from local.tools import PROJECT


def test_a_step_prints_when_it_begins_and_when_it_has_finished(capsys: pytest.CaptureFixture[str]) -> None:
    with step("Installing a thing", "a minute, once"):
        assert capsys.readouterr().out == "Installing a thing (a minute, once) …\n"
    assert capsys.readouterr().out == "  finished in 0 s\n"


def test_a_failed_step_does_not_claim_to_have_finished(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no such thing"), step("Installing a thing", "a minute, once"):
        raise ValueError("no such thing")
    assert "finished" not in capsys.readouterr().out


def test_without_text_an_empty_line_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    say()
    assert capsys.readouterr().out == "\n"


def test_lines_reach_a_pipe_while_the_program_still_runs() -> None:
    code = "from local.progress import say; say('working'); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.stdin.write("\n")
