"""Uploads without a finished transcript are sent again, and nothing else is."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient, ContainerClient, ContentSettings

from infra import redrive
from local.azurite import ACCOUNT_KEY
from local.tools import PROJECT
from tests.support.app import App, document_of, host
from tests.support.sound import murmur, wav
from transcription.settings.app import StorageSettings
from transcription.storage.names import MAX_NAME_UNITS, output_name

RECORDING = wav(murmur(0.5))


def run(app: App, *arguments: str) -> int:
    return redrive.main(arguments, app.environ)


def etags(app: App) -> dict[str, str]:
    return {blob.name: blob.etag for blob in app.audio.list_blobs()}


def resent(app: App, *arguments: str) -> set[str]:
    """Run the script and return the names of the uploads that got a new ETag."""
    before = etags(app)
    assert run(app, *arguments) == 0
    return {name for name, etag in etags(app).items() if etag != before[name]}


@pytest.fixture
def uploads(app: App) -> App:
    """Return an app with one upload of each kind."""
    for name in ("done", "exhausted", "misconfigured", "replaced", "broken", "never", "fr-FR/never", "folder"):
        content = b"no audio" if name == "broken" else RECORDING
        app.upload(name, content, **({"hdi_isfolder": "true"} if name == "folder" else {}))
    for name in ("done", "replaced", "broken"):
        app.run(name)
    app.run("misconfigured", AZURE_SPEECH_KEY=None)
    app.upload("replaced", RECORDING)
    app.job().abandon(f'{{"ContainerName": "{app.audio.container_name}", "BlobName": "exhausted"}}'.encode())
    return app


UNFINISHED = {"exhausted", "misconfigured", "replaced", "never", "fr-FR/never"}


def test_unfinished_uploads_are_sent_again_and_then_finished(uploads: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert resent(uploads) == UNFINISHED
    output = capsys.readouterr().out
    assert "again    'never': no transcript" in output
    assert "again    'replaced': the transcript belongs to earlier content" in output
    assert "again    'misconfigured': it failed, and may succeed now" in output
    assert "7 uploads: 2 finished, 5 sent again, 0 changed, 0 failed" in output
    for name in UNFINISHED:
        uploads.run(name)
        assert uploads.document(name)["status"] == "Succeeded"
    assert resent(uploads) == set()


def test_a_dry_run_changes_nothing(uploads: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert resent(uploads, "--dry-run") == set()
    assert "7 uploads: 2 finished, 5 to transcribe again" in capsys.readouterr().out


def test_a_prefix_selects_uploads(uploads: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert resent(uploads, "--prefix", "fr-FR/") == {"fr-FR/never"}
    assert "1 uploads: 0 finished" in capsys.readouterr().out


def test_a_date_selects_uploads(uploads: App) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert resent(uploads, "--since", tomorrow) == set()
    assert resent(uploads, "--since", "1h") == UNFINISHED


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T10:30", datetime(2026, 11, 23, 10, 30, tzinfo=UTC)),
        ("2026-11-23T10:30:00Z", datetime(2026, 11, 23, 10, 30, tzinfo=UTC)),
        ("2026-11-23T10:30+02:00", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_in_utc_unless_it_names_a_time_zone(text: str, then: datetime) -> None:
    assert redrive.moment(text) == then


def test_a_time_span_is_counted_back_from_now() -> None:
    for text, ago in {"2d": timedelta(days=2), "6h": timedelta(hours=6), "30m": timedelta(minutes=30)}.items():
        assert abs(datetime.now(UTC) - ago - redrive.moment(text)) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["", "yesterday", "2w", "-2d", "d", "99999999d"])
def test_a_malformed_date_is_refused(app: App, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(app, f"--since={text}")
    assert ended.value.code == 2
    assert "--since" in capsys.readouterr().err


def test_content_metadata_tags_and_headers_are_kept(app: App) -> None:
    blob = app.audio.upload_blob(
        "a.wav",
        RECORDING,
        metadata={"language": "de-DE"},
        tags={"case": "4711"},
        content_settings=ContentSettings(content_type="audio/x-wav", content_language="de", cache_control="no-store"),
    )
    before = blob.get_blob_properties()
    assert resent(app) == {"a.wav"}
    after = blob.get_blob_properties()
    assert (after.metadata, blob.get_blob_tags()) == ({"language": "de-DE"}, {"case": "4711"})
    for header in ("content_type", "content_language", "cache_control", "content_md5"):
        assert after.content_settings[header] == before.content_settings[header]
    assert blob.download_blob().readall() == RECORDING


def test_uploads_of_any_name_are_sent_again(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    names = {
        "a b+c%20#?&.wav",
        "two\nlines.wav",
        "//",
        "録😀.wav",
        "<'\">",
        "x" * MAX_NAME_UNITS,
        "é" * MAX_NAME_UNITS,
    }
    for name in names:
        app.upload(name, RECORDING)
    assert resent(app) == names
    assert len(capsys.readouterr().out.splitlines()) == len(names) + 1
    for name in names:
        app.run(name)
    assert resent(app) == set()
    assert resent(app, "--prefix", "x" * (MAX_NAME_UNITS - 1)) == set()
    assert set(app.documents()) == set(map(output_name, names))


def test_listings_of_several_pages_are_read_to_the_end(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerClient, "list_blobs", partialmethod(ContainerClient.list_blobs, results_per_page=2))
    monkeypatch.setattr(redrive, "PROGRESS_UPLOADS", 3)
    for number in range(9):
        etag = app.upload(f"{number}.wav", RECORDING)
        if number % 4:
            metadata = {"status": "Succeeded", "source_etag": etag}
            app.transcripts.upload_blob(f"{number}.wav.json", b"{}", metadata=metadata)
    assert resent(app) == {"0.wav", "4.wav", "8.wav"}


def test_uploads_that_change_during_the_run_are_left_alone(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("deleted", "kept", "replaced"):
        app.upload(name, RECORDING)
    copy = BlobClient.start_copy_from_url
    written: list[str] = []

    def copy_too_late(client: BlobClient, *arguments: object, **options: object) -> object:
        if client.blob_name == "deleted":
            app.audio.delete_blob("deleted")
        if client.blob_name == "replaced":
            written.append(app.upload("replaced", b"newer"))
        return copy(client, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BlobClient, "start_copy_from_url", copy_too_late)
    assert run(app) == 0
    assert "1 sent again, 2 changed, 0 failed" in capsys.readouterr().out
    assert etags(app)["replaced"] == written[0]
    assert "deleted" not in etags(app)


def test_an_upload_that_cannot_be_copied_is_reported_and_the_others_are_sent(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        app.upload(name, RECORDING)
    lease = app.audio.get_blob_client("b").acquire_lease()
    assert run(app) == 1
    output = capsys.readouterr().out
    assert "FAILED   'b': There is currently a lease on the blob" in output
    assert "2 sent again, 0 changed, 1 failed" in output
    lease.release()


def test_without_a_transcript_container_every_upload_is_sent(app: App) -> None:
    app.upload("a", RECORDING)
    assert resent(app, "--transcript-container", "not-made-yet") == {"a"}


def test_a_missing_container_of_uploads_is_an_error(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--audio-container", "not-there") == 1
    assert "Gave up: The specified container does not exist." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("connection", "status"),
    [
        ("nonsense", 2),
        ("", 2),
        ("UseDevelopmentStorage=true", 2),
        (f"AccountName=a;AccountKey={ACCOUNT_KEY};BlobEndpoint=http://127.0.0.1:9/a;", 1),
        ("BlobEndpoint=http://127.0.0.1:9/a;SharedAccessSignature=sv=2026&sig=canary%3D", 1),
    ],
)
def test_a_bad_connection_is_reported_without_its_secret(
    connection: str, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "CLIENT_OPTIONS", {"retry_total": 0})
    assert redrive.main([], {"AudioStorage": connection}) == status
    output = "".join(capsys.readouterr())
    assert output.strip()
    assert ACCOUNT_KEY not in output
    assert "canary" not in output


def test_the_two_containers_must_differ(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--transcript-container", app.audio.container_name) == 2
    assert "TRANSCRIPT_CONTAINER" in capsys.readouterr().out


def test_an_account_url_is_used_with_the_callers_login() -> None:
    options = redrive.parser().parse_args(["--account-url", "https://name.blob.core.windows.net"])
    environ = redrive.storage_environ(options, {"AudioStorage": "of another account", "AUDIO_CONTAINER": "uploads"})
    settings = StorageSettings.read(environ)
    assert (settings.account_url, settings.connection_string, settings.audio_container) == (
        "https://name.blob.core.windows.net",
        None,
        "uploads",
    )
    with redrive.connect(settings) as service:
        assert type(service.credential).__name__ == "DefaultAzureCredential"


def test_the_script_runs_as_a_file_and_its_event_reaches_the_host(app: App, worker: Path) -> None:
    with host(app, worker, AZURE_SPEECH_KEY=""):
        etag = app.upload("a.wav", RECORDING)
        assert document_of(app, "a.wav", etag)["error"]["code"] == "Configuration"
    done = subprocess.run(
        [sys.executable, "infra/redrive.py", "--since", "1h"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **app.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "1 sent again" in done.stdout
    with host(app, worker):
        assert document_of(app, "a.wav", etags(app)["a.wav"])["status"] == "Succeeded"
