"""What the host gave up on → a document, through real storage, the host and Microsoft's worker code."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from local.speech import Fault
from local.tools import PROJECT
from tests.support import Stage, document_of, host, murmur, wav
from transcription.errors import Exhausted
from transcription.storage import Outcome
from transcription.transcript import Json

RECORDING = wav(murmur(1.0))

# The app as it is deployed, but for a worker process that dies under every recording.
DYING_APP = f"""
import importlib.util, os
from transcription import job

job.Job.run = lambda *_: os._exit(9)
spec = importlib.util.spec_from_file_location("deployed", {str(PROJECT / "function_app.py")!r})
deployed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(deployed)
app = deployed.app
"""


def message(stage: Stage, name: object, etag: str = "0x8D0", **changes: Any) -> bytes:
    """As the host writes it."""
    content = {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.transcribe",
        "BlobType": "BlockBlob",
        "ContainerName": stage.audio.container_name,
        "BlobName": name,
        "ETag": f'"{etag}"',
    }
    return json.dumps(content | changes).encode()


def test_an_upload_that_was_given_up_gets_a_document_that_says_what_to_do(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    etag = stage.upload("fr-FR/a.wav", RECORDING)
    stage.job().abandon(message(stage, "fr-FR/a.wav", etag))
    document = stage.document("fr-FR/a.wav")
    assert (document["status"], document["error"]["code"], document["error"]["tryAgain"]) == (
        "Failed",
        "Abandoned",
        True,
    )
    assert "infra/redrive.py" in document["error"]["message"]
    assert (document["source"]["etag"], document["source"]["sizeBytes"]) == (etag, len(RECORDING))
    line, said = (record.message for record in caplog.records)
    assert {"name": "fr-FR/a.wav", "status": "Failed", "code": "Abandoned"}.items() <= json.loads(line).items()
    assert said == f"'fr-FR/a.wav': {document['error']['message']}"


def test_it_needs_only_the_storage_settings(stage: Stage) -> None:
    stage.upload("a.wav", RECORDING)
    wrong = {"AZURE_SPEECH_KEY": None, "AZURE_SPEECH_ENDPOINT": "nonsense", "MAX_AUDIO_MINUTES": "-1"}
    stage.job(**wrong).abandon(message(stage, "a.wav"))
    assert stage.document("a.wav")["error"]["code"] == "Abandoned"


def test_the_next_delivery_does_an_abandoned_upload_again(stage: Stage) -> None:
    stage.upload("a.wav", RECORDING)
    stage.job().abandon(message(stage, "a.wav"))
    stage.run("a.wav")
    assert stage.document("a.wav")["status"] == "Succeeded"


def test_a_transcript_stays(stage: Stage) -> None:
    etag = stage.upload("a.wav", RECORDING)
    stage.run("a.wav")
    stage.job().abandon(message(stage, "a.wav", etag))
    assert stage.document("a.wav")["status"] == "Succeeded"


def test_a_failure_that_says_why_stays(stage: Stage) -> None:
    stage.endpoint.faults.extend([Fault.status(503)] * 100)
    for name in ("exhausted.wav", "misconfigured.wav", "broken.wav"):
        stage.upload(name, RECORDING if name != "broken.wav" else b"no audio")
    with pytest.raises(Exhausted):
        stage.run("exhausted.wav", MAX_PROCESSING_MINUTES="1")
    stage.run("misconfigured.wav", AZURE_SPEECH_KEY=None)
    stage.run("broken.wav")
    for name in ("exhausted.wav", "misconfigured.wav", "broken.wav"):
        stage.job().abandon(message(stage, name))
    codes = [stage.document(name)["error"]["code"] for name in ("exhausted.wav", "misconfigured.wav", "broken.wav")]
    assert codes == ["Exhausted", "Configuration", "UnsupportedAudio"]


def test_a_document_that_comes_in_between_stays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.upload("a.wav", RECORDING)
    the_job = stage.job()
    write = the_job._storage.write

    def late(name: str, document: Json, captions: dict[str, str], replacing: Outcome) -> bool:
        monkeypatch.setattr(the_job._storage, "write", write)
        stage.run("a.wav", AZURE_SPEECH_KEY=None)
        return write(name, document, captions, replacing)

    monkeypatch.setattr(the_job._storage, "write", late)
    the_job.abandon(message(stage, "a.wav"))
    assert stage.document("a.wav")["error"]["code"] == "Configuration"


def test_a_document_of_older_content_is_replaced(stage: Stage) -> None:
    stage.upload("a.wav", RECORDING)
    stage.run("a.wav", TRANSCRIPT_FORMATS="json,vtt,txt")
    etag = stage.upload("a.wav", wav(murmur(2.0)))
    stage.job().abandon(message(stage, "a.wav", etag))
    document = stage.document("a.wav")
    assert (document["error"]["code"], document["source"]["etag"]) == ("Abandoned", etag)
    assert stage.documents() == ["a.wav.json"], "and so are the captions beside it"


def test_metadata_set_after_the_upload_changes_the_etag_without_an_event_and_loses_nothing(stage: Stage) -> None:
    etag = stage.upload("a.wav", RECORDING)
    stage.audio.get_blob_client("a.wav").set_blob_metadata({"language": "de-DE"})
    stage.job().abandon(message(stage, "a.wav", etag))
    assert stage.document("a.wav")["error"]["code"] == "Abandoned"
    assert stage.document("a.wav")["source"]["etag"] != etag


def test_what_is_gone_and_what_is_a_folder_leave_nothing(stage: Stage) -> None:
    stage.upload("folder", b"", hdi_isfolder="true")
    for name in ("folder", "never there.wav"):
        stage.job().abandon(message(stage, name))
    assert stage.documents() == []


def test_messages_of_other_apps_are_ignored_with_a_warning(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.upload("a.wav", RECORDING)
    stage.job().abandon(message(stage, "a.wav", ContainerName="somebody-elses"))
    assert stage.documents() == []
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
    stage: Stage, hostile: bytes | dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    stage.transcripts.upload_blob("a.wav", RECORDING)
    if isinstance(hostile, dict):
        text = json.dumps(hostile).replace("{transcripts}", stage.transcripts.container_name)
        hostile = message(stage, "a.wav", **json.loads(text))
    stage.job().abandon(hostile)
    assert stage.documents() == ["a.wav"]
    (line,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert line.isprintable()
    assert len(line) < 400


@pytest.fixture
def dying_app(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(DYING_APP)
    shutil.copy(PROJECT / "host.json", tmp_path)
    return tmp_path


def test_a_recording_under_which_the_worker_dies_five_times_is_abandoned_and_later_done(
    stage: Stage, worker: Path, dying_app: Path
) -> None:
    etag = stage.upload("fr-FR/ä b.wav", RECORDING)
    with host(stage, worker, dying_app):
        assert document_of(stage, "fr-FR/ä b.wav", etag)["error"]["code"] == "Abandoned"
    again = stage.upload("fr-FR/ä b.wav", RECORDING)
    with host(stage, worker):
        assert document_of(stage, "fr-FR/ä b.wav", again)["status"] == "Succeeded"
