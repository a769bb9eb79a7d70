"""Uploads without a transcript are done again, and nothing else is."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient, BlobProperties, ContainerClient, ContentSettings

from infra import redrive
from local.azurite import ACCOUNT_KEY
from local.speech import Fault
from local.tools import PROJECT
from tests.support.app import App, document_of, host
from tests.support.sound import murmur, wav
from transcription.settings.app import StorageSettings
from transcription.storage.names import LONGEST_NAME, output_name

RECORDING = wav(murmur(0.5))


def run(app: App, *arguments: str) -> int:
    return redrive.main(arguments, app.environ)


def etags(app: App) -> dict[str, str]:
    return {blob.name: blob.etag for blob in app.audio.list_blobs()}


def delivered_again(app: App, *arguments: str) -> set[str]:
    """The uploads that a run gave a new ETag."""
    before = etags(app)
    assert run(app, *arguments) == 0
    return {name for name, etag in etags(app).items() if etag != before[name]}


@pytest.fixture
def uploads(app: App) -> App:
    """One of each kind."""
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


def test_what_has_no_done_document_is_delivered_again_and_then_done(
    uploads: App, capsys: pytest.CaptureFixture[str]
) -> None:
    assert delivered_again(uploads) == UNFINISHED
    said = capsys.readouterr().out
    assert "again    'never': no transcript" in said
    assert "again    'replaced': the transcript is of earlier content" in said
    assert "again    'misconfigured': it failed, and another try may mend that" in said
    assert "7 uploads: 2 done, 5 delivered again, 0 changed meanwhile, 0 failed" in said
    for name in UNFINISHED:
        uploads.run(name)
        assert uploads.document(name)["status"] == "Succeeded"
    assert delivered_again(uploads) == set()


@pytest.mark.parametrize("worse", ["refused", "abandoned"])
def test_the_words_that_are_there_are_kept_where_the_new_try_fails(app: App, worse: str) -> None:
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 2))
    app.endpoint.faults.extend([Fault.none(), Fault.status(401)])
    app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert delivered_again(app) == {"a.wav"}
    if worse == "refused":
        app.run("a.wav", AZURE_SPEECH_KEY="f" * 32)
    else:
        app.job().abandon(f'{{"ContainerName": "{app.audio.container_name}", "BlobName": "a.wav"}}'.encode())
    document = app.document("a.wav")
    assert (document["status"], len(document["phrases"])) == ("Partial", 1)
    assert document["source"]["etag"] == etags(app)["a.wav"].strip('"')
    assert delivered_again(app) == {"a.wav"}
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"
    assert delivered_again(app) == set()


def test_a_document_that_is_written_meanwhile_is_not_carried_over(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 2))
    app.endpoint.faults.extend([Fault.none(), Fault.status(401)])
    app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    copy = redrive.deliver_again

    def quickly(audio: ContainerClient, blob: BlobProperties) -> str | None:
        etag = copy(audio, blob)
        app.run("a.wav")
        return etag

    monkeypatch.setattr(redrive, "deliver_again", quickly)
    assert delivered_again(app) == {"a.wav"}
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_dry_run_only_says_what_it_would_do(uploads: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert delivered_again(uploads, "--dry-run") == set()
    assert "7 uploads: 2 done, 5 to be done again" in capsys.readouterr().out


def test_a_prefix_narrows_it(uploads: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert delivered_again(uploads, "--prefix", "fr-FR/") == {"fr-FR/never"}
    assert "1 uploads: 0 done" in capsys.readouterr().out


def test_a_date_narrows_it(uploads: App) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert delivered_again(uploads, "--since", tomorrow) == set()
    assert delivered_again(uploads, "--since", "1h") == UNFINISHED


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T10:30", datetime(2026, 11, 23, 10, 30, tzinfo=UTC)),
        ("2026-11-23T10:30:00Z", datetime(2026, 11, 23, 10, 30, tzinfo=UTC)),
        ("2026-11-23T10:30+02:00", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_in_utc_unless_it_says_otherwise(text: str, then: datetime) -> None:
    assert redrive.moment(text) == then


def test_a_moment_may_be_so_long_ago() -> None:
    for text, ago in {"2d": timedelta(days=2), "6h": timedelta(hours=6), "30m": timedelta(minutes=30)}.items():
        assert abs(datetime.now(UTC) - ago - redrive.moment(text)) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["", "yesterday", "2w", "-2d", "d", "99999999d"])
def test_a_moment_that_is_none_is_refused(app: App, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(app, f"--since={text}")
    assert ended.value.code == 2
    assert "--since" in capsys.readouterr().err


def test_what_belongs_to_the_upload_is_kept(app: App) -> None:
    blob = app.audio.upload_blob(
        "a.wav",
        RECORDING,
        metadata={"language": "de-DE"},
        tags={"case": "4711"},
        content_settings=ContentSettings(content_type="audio/x-wav", content_language="de", cache_control="no-store"),
    )
    before = blob.get_blob_properties()
    assert delivered_again(app) == {"a.wav"}
    after = blob.get_blob_properties()
    assert (after.metadata, blob.get_blob_tags()) == ({"language": "de-DE"}, {"case": "4711"})
    for kept in ("content_type", "content_language", "cache_control", "content_md5"):
        assert after.content_settings[kept] == before.content_settings[kept]
    assert blob.download_blob().readall() == RECORDING


def test_any_name_is_delivered_again(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    names = {
        "a b+c%20#?&.wav",
        "two\nlines.wav",
        "//",
        "録😀.wav",
        "<'\">",
        "x" * LONGEST_NAME,
        "é" * LONGEST_NAME,
    }
    for name in names:
        app.upload(name, RECORDING)
    assert delivered_again(app) == names
    assert len(capsys.readouterr().out.splitlines()) == len(names) + 1
    for name in names:
        app.run(name)
    assert delivered_again(app) == set()
    assert delivered_again(app, "--prefix", "x" * (LONGEST_NAME - 1)) == set()
    assert set(app.documents()) == set(map(output_name, names))


def test_more_uploads_than_one_page_lists(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContainerClient, "list_blobs", partialmethod(ContainerClient.list_blobs, results_per_page=2))
    monkeypatch.setattr(redrive, "PROGRESS_UPLOADS", 3)
    for number in range(9):
        etag = app.upload(f"{number}.wav", RECORDING)
        if number % 4:
            metadata = {"status": "Succeeded", "source_etag": etag}
            app.transcripts.upload_blob(f"{number}.wav.json", b"{}", metadata=metadata)
    assert delivered_again(app) == {"0.wav", "4.wav", "8.wav"}


def test_what_is_replaced_or_deleted_under_it_is_left_alone(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("deleted", "kept", "replaced"):
        app.upload(name, RECORDING)
    copy = BlobClient.start_copy_from_url
    written: list[str] = []

    def late(client: BlobClient, *arguments: object, **options: object) -> object:
        if client.blob_name == "deleted":
            app.audio.delete_blob("deleted")
        if client.blob_name == "replaced":
            written.append(app.upload("replaced", b"newer"))
        return copy(client, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BlobClient, "start_copy_from_url", late)
    assert run(app) == 0
    assert "1 delivered again, 2 changed meanwhile, 0 failed" in capsys.readouterr().out
    assert etags(app)["replaced"] == written[0]
    assert "deleted" not in etags(app)


def test_what_cannot_be_copied_is_said_and_does_not_stop_the_rest(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "c"):
        app.upload(name, RECORDING)
    lease = app.audio.get_blob_client("b").acquire_lease()
    assert run(app) == 1
    said = capsys.readouterr().out
    assert "FAILED   'b': There is currently a lease on the blob" in said
    assert "2 delivered again, 0 changed meanwhile, 1 failed" in said
    lease.release()


def test_without_a_transcript_container_everything_is_to_do(app: App) -> None:
    app.upload("a", RECORDING)
    assert delivered_again(app, "--transcript-container", "not-made-yet") == {"a"}


def test_without_uploads_container_it_says_so(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--audio-container", "not-there") == 1
    assert "Given up: The specified container does not exist." in capsys.readouterr().out


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
def test_a_connection_that_does_not_work_is_said_without_its_secret(
    connection: str, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "CLIENT_OPTIONS", {"retry_total": 0})
    assert redrive.main([], {"AudioStorage": connection}) == status
    said = "".join(capsys.readouterr())
    assert said.strip()
    assert ACCOUNT_KEY not in said
    assert "canary" not in said


def test_input_and_output_must_differ(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--transcript-container", app.audio.container_name) == 2
    assert "TRANSCRIPT_CONTAINER" in capsys.readouterr().out


def test_an_accounts_url_is_opened_with_ones_own_login() -> None:
    asked = redrive.parser().parse_args(["--account-url", "https://name.blob.core.windows.net"])
    environ = redrive.storage_environ(asked, {"AudioStorage": "of another account", "AUDIO_CONTAINER": "uploads"})
    settings = StorageSettings.read(environ)
    assert (settings.account_url, settings.connection_string, settings.audio_container) == (
        "https://name.blob.core.windows.net",
        None,
        "uploads",
    )
    with redrive.connect(settings) as service:
        assert type(service.credential).__name__ == "DefaultAzureCredential"


def test_it_runs_as_a_file_and_the_host_does_the_rest(app: App, worker: Path) -> None:
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
    assert "1 delivered again" in done.stdout
    with host(app, worker):
        assert document_of(app, "a.wav", etags(app)["a.wav"])["status"] == "Succeeded"
