"""Uploads that the host gave up on become documents, through real storage, the host and Microsoft's worker code."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from local.speech import Fault
from local.tools import PROJECT
from tests.support.app import App, document_of, host
from tests.support.sound import murmur, wav
from transcription.storage.transcripts import Transcripts

RECORDING = wav(murmur(1.0))

# The deployed app, except that the worker process dies with each recording.
DYING_APP = f"""
import importlib.util, os
from transcription import job

job.Job.run = lambda *_: os._exit(9)
spec = importlib.util.spec_from_file_location("deployed", {str(PROJECT / "function_app.py")!r})
deployed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(deployed)
app = deployed.app
"""


def message(app: App, name: object, etag: str = "0x8D0", **changes: Any) -> bytes:
    """Return a message as the host writes it."""
    content = {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.transcribe",
        "BlobType": "BlockBlob",
        "ContainerName": app.audio.container_name,
        "BlobName": name,
        "ETag": f'"{etag}"',
    }
    return json.dumps(content | changes).encode()


def test_an_abandoned_upload_gets_a_document_that_says_what_to_do(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    etag = app.upload("fr-FR/a.wav", RECORDING)
    app.job().abandon(message(app, "fr-FR/a.wav", etag))
    document = app.document("fr-FR/a.wav")
    assert (document["status"], document["error"]["code"], document["error"]["tryAgain"]) == (
        "Failed",
        "Abandoned",
        True,
    )
    assert "tries again by itself" in document["error"]["message"]
    assert (document["source"]["etag"], document["source"]["sizeBytes"]) == (etag, len(RECORDING))
    line, error = (record.message for record in caplog.records)
    assert {"name": "fr-FR/a.wav", "status": "Failed", "code": "Abandoned"}.items() <= json.loads(line).items()
    assert error == f"'fr-FR/a.wav': {document['error']['message']}"


def test_abandoning_needs_only_the_storage_settings(app: App) -> None:
    app.upload("a.wav", RECORDING)
    wrong = {"AZURE_SPEECH_KEY": None, "AZURE_SPEECH_ENDPOINT": "nonsense", "MAX_AUDIO_MINUTES": "-1"}
    app.job(**wrong).abandon(message(app, "a.wav"))
    assert app.document("a.wav")["error"]["code"] == "Abandoned"


def test_the_next_delivery_transcribes_an_abandoned_upload(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.job().abandon(message(app, "a.wav"))
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_transcript_is_not_replaced(app: App) -> None:
    etag = app.upload("a.wav", RECORDING)
    app.run("a.wav")
    app.job().abandon(message(app, "a.wav", etag))
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_failure_with_a_reason_is_not_replaced(app: App) -> None:
    app.endpoint.faults.extend([Fault.status(503)] * 100)
    for name in ("exhausted.wav", "misconfigured.wav", "broken.wav"):
        app.upload(name, RECORDING if name != "broken.wav" else b"no audio")
    app.run("exhausted.wav", MAX_PROCESSING_MINUTES="1")
    app.run("misconfigured.wav", AZURE_SPEECH_KEY=None)
    app.run("broken.wav")
    for name in ("exhausted.wav", "misconfigured.wav", "broken.wav"):
        app.job().abandon(message(app, name))
    codes = [app.document(name)["error"]["code"] for name in ("exhausted.wav", "misconfigured.wav", "broken.wav")]
    assert codes == ["Exhausted", "Configuration", "UnsupportedAudio"]


def test_a_document_that_is_written_meanwhile_is_not_replaced(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.upload("a.wav", RECORDING)
    write = Transcripts.write

    def late(*args: Any) -> bool:
        monkeypatch.setattr(Transcripts, "write", write)
        app.run("a.wav", AZURE_SPEECH_KEY=None)
        return write(*args)

    monkeypatch.setattr(Transcripts, "write", late)
    app.job().abandon(message(app, "a.wav"))
    assert app.document("a.wav")["error"]["code"] == "Configuration"


def test_a_document_of_older_content_is_replaced(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.run("a.wav", TRANSCRIPT_FORMATS="json,vtt,txt")
    etag = app.upload("a.wav", wav(murmur(2.0)))
    app.job().abandon(message(app, "a.wav", etag))
    document = app.document("a.wav")
    assert (document["error"]["code"], document["source"]["etag"]) == ("Abandoned", etag)
    assert app.documents() == ["a.wav.json"], "and so are the captions next to it"


def test_an_upload_whose_metadata_was_set_later_gets_a_document_too(app: App) -> None:
    etag = app.upload("a.wav", RECORDING)
    app.audio.get_blob_client("a.wav").set_blob_metadata({"language": "de-DE"})
    app.job().abandon(message(app, "a.wav", etag))
    assert app.document("a.wav")["error"]["code"] == "Abandoned"
    assert app.document("a.wav")["source"]["etag"] != etag


def test_deleted_uploads_and_folders_get_no_document(app: App) -> None:
    app.upload("folder", b"", hdi_isfolder="true")
    for name in ("folder", "never there.wav"):
        app.job().abandon(message(app, name))
    assert app.documents() == []


def test_messages_of_other_apps_are_ignored_with_a_warning(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.upload("a.wav", RECORDING)
    app.job().abandon(message(app, "a.wav", ContainerName="somebody-elses"))
    assert app.documents() == []
    assert "container 'somebody-elses'" in caplog.text


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"7" * 5000,
        b"{",
        b"{}",
        b"[" * 60_000,
        b"\xff\xfe\xfd",
        {"BlobName": None},
        {"BlobName": ["a.wav"]},
        {"BlobName": ""},
        {"BlobName": "a" * 60_000},
        {"BlobName": "\ud800"},
        {"BlobName": "a\0b"},
        {"BlobName": "../{transcripts}/a.wav"},
        {"ContainerName": {}},
        {"ContainerName": "{transcripts}"},
    ],
    ids=lambda hostile: str(hostile)[:30],
)
def test_a_hostile_message_is_ignored_with_one_short_line(
    app: App, hostile: bytes | dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    app.transcripts.upload_blob("a.wav", RECORDING)
    if isinstance(hostile, dict):
        text = json.dumps(hostile).replace("{transcripts}", app.transcripts.container_name)
        hostile = message(app, "a.wav", **json.loads(text))
    app.job().abandon(hostile)
    assert app.documents() == ["a.wav"]
    (line,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert line.isprintable()
    assert len(line) < 400


@pytest.fixture
def dying_app(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(DYING_APP)
    shutil.copy(PROJECT / "host.json", tmp_path)
    return tmp_path


def test_a_recording_that_kills_the_worker_five_times_is_abandoned_and_a_new_upload_is_transcribed(
    app: App, worker: Path, dying_app: Path
) -> None:
    etag = app.upload("fr-FR/ä b.wav", RECORDING)
    with host(app, worker, dying_app):
        assert document_of(app, "fr-FR/ä b.wav", etag)["error"]["code"] == "Abandoned"
    again = app.upload("fr-FR/ä b.wav", RECORDING)
    with host(app, worker):
        assert document_of(app, "fr-FR/ä b.wav", again)["status"] == "Succeeded"
