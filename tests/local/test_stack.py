"""The settings of the local stack, and its containers."""

import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local.__main__ import main
from local.azurite import Azurite
from local.speech import ASSUMED, SDK_SEGMENTATION, Script, SpeechEndpoint
from local.stack import (
    LOCAL_KEY,
    Stack,
    WrongSetting,
    app_environment,
    create_containers,
    port_setting,
    speech_behaviour,
    start_azurite,
    start_speech,
)
from local.tools import PROJECT


def test_a_real_endpoint_in_the_settings_is_kept() -> None:
    settings = {"AZURE_SPEECH_KEY": "k", "AZURE_SPEECH_REGION": "westeurope", "AUDIO_CONTAINER": "in"}
    environment = app_environment(settings, "a connection", None)
    assert settings.items() <= environment.items()
    assert "AZURE_SPEECH_ENDPOINT" not in environment
    assert environment["BLOB_TRIGGER_SOURCE"] == "LogsAndContainerScan"
    assert LOCAL_KEY not in environment.values()


def test_the_settings_of_queued_uploads_reach_the_app() -> None:
    settings = {"WORK_CONTAINER": "work", "SWEEP_SCHEDULE": "0 * * * * *", "SWEEP_DAYS": "1"}
    assert settings.items() <= app_environment(settings, "a connection", None).items()


def test_the_local_endpoint_replaces_a_region_without_a_key() -> None:
    with SpeechEndpoint(Script([]), key=LOCAL_KEY) as speech:
        environment = app_environment({"AZURE_SPEECH_REGION": "westeurope"}, "a connection", speech)
        assert environment["AZURE_SPEECH_ENDPOINT"] == speech.url
    assert environment["AZURE_SPEECH_KEY"] == LOCAL_KEY
    assert "AZURE_SPEECH_REGION" not in environment


@pytest.mark.parametrize(
    "settings",
    [
        {"AZURE_SPEECH_ENDPOINT": "https://speech.example.com"},
        {"AZURE_SPEECH_REGION": "westeurope", "AZURE_SPEECH_KEY": "k"},
        {"AZURE_SPEECH_REGION": "westeurope", "AZURE_SPEECH_AUTH": "identity"},
    ],
)
def test_no_local_endpoint_starts_if_the_settings_name_a_real_one(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as parts:
        assert start_speech(parts, settings) is None
    assert f"the one in the setting {next(iter(settings))}" in capsys.readouterr().out


def test_the_stand_in_can_stop_as_the_sdk_does_or_as_a_check_measured(tmp_path: Path) -> None:
    saved = tmp_path / "check.json"
    saved.write_text('{"checkedAt": "2026-11-26T10:00:00Z", "measured": {"pause_seconds": 0.7}}')
    assert speech_behaviour({}) == ASSUMED
    assert speech_behaviour({"LOCAL_SPEECH_BEHAVIOUR": "sdk"}) == SDK_SEGMENTATION
    assert speech_behaviour({"LOCAL_SPEECH_BEHAVIOUR": str(saved)}).pause_seconds == 0.7


@pytest.mark.parametrize("content", [None, "", "[]", '{"measured": {}}'])
def test_a_file_that_no_check_saved_is_a_wrong_setting(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "check.json").write_text(content)
    with pytest.raises(WrongSetting, match="LOCAL_SPEECH_BEHAVIOUR"):
        speech_behaviour({"LOCAL_SPEECH_BEHAVIOUR": str(tmp_path / "check.json")})


def test_no_azurite_starts_if_the_settings_name_an_account(capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as parts:
        assert start_azurite(parts, {"AudioStorage": "AccountKey=secret"}, None) is None
    shown = capsys.readouterr().out
    assert "AudioStorage" in shown
    assert "secret" not in shown


@pytest.mark.parametrize(("value", "port"), [(None, 0), ("", 0), ("10000", 10000), ("65535", 65535)])
def test_a_port_is_a_number_up_to_65535(value: str | None, port: int) -> None:
    assert port_setting({} if value is None else {"LOCAL_BLOB_PORT": value}, "LOCAL_BLOB_PORT") == port


@pytest.mark.parametrize("value", ["ten", "65536", "-1", "¹"])
def test_any_other_port_is_a_wrong_setting(value: str) -> None:
    with pytest.raises(WrongSetting, match=f"LOCAL_BLOB_PORT is '{value}'"):
        port_setting({"LOCAL_BLOB_PORT": value}, "LOCAL_BLOB_PORT")


def test_a_wrong_port_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["local", "demo"])
    monkeypatch.setattr("local.__main__.log_to_file", lambda _: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("LOCAL_BLOB_PORT", "ten")
    assert main() == 1
    assert "LOCAL_BLOB_PORT is 'ten'" in capsys.readouterr().out


def test_containers_are_created_once(azurite: Azurite) -> None:
    suffix = uuid.uuid4().hex[:12]
    stack = Stack(azurite.connection_string, f"in-{suffix}", f"out-{suffix}", "")
    create_containers(stack)
    create_containers(stack)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
        names = {container.name for container in storage.list_containers()}
    assert {stack.audio_container, stack.transcript_container} <= names


def test_the_log_file_has_everything_and_the_screen_only_warnings(tmp_path: Path) -> None:
    code = (
        "import logging, pathlib, sys; from local.stack import log_to_file; log_to_file(pathlib.Path(sys.argv[1]));"
        "log = logging.getLogger('local'); log.info('a detail'); log.warning('a problem')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "demo.log")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    written = (tmp_path / "demo.log").read_text()
    assert "INFO local: a detail" in written
    assert "WARNING local: a problem" in written
    assert done.stderr == "  log | a problem\n"
