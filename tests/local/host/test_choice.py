"""The choice of the host, and the message about it."""

import json
from pathlib import Path

import pytest

from local.host import CoreToolsHost, StandInHost, choice, choose_host

FUNC, PYTHON_313 = "/opt/func", Path("/opt/worker/bin/python")


@pytest.mark.parametrize(
    ("func", "python", "host", "messages"),
    [
        (FUNC, PYTHON_313, CoreToolsHost, ["Azure Functions Core Tools", FUNC]),
        (FUNC, None, CoreToolsHost, ["Azure Functions Core Tools", FUNC]),
        (None, PYTHON_313, StandInHost, ["stand-in", "Microsoft's worker code on Python 3.13"]),
        (None, None, StandInHost, ["calls the functions directly", "install Python 3.13", "PYTHON313", "Core Tools"]),
    ],
)
def test_the_host_closest_to_azures_is_chosen_and_named(
    func: str | None,
    python: Path | None,
    host: type,
    messages: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"}))
    monkeypatch.setattr(choice, "find_func", lambda: func)
    monkeypatch.setattr(choice, "worker_python", lambda: python)
    assert type(choose_host(tmp_path, {})) is host
    shown = capsys.readouterr().out
    assert all(message in shown for message in messages)
