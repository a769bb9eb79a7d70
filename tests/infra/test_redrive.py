"""Uploads without a finished transcript are queued again, and nothing else is."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from azure.storage.blob import AccountSasPermissions, BlobClient, ResourceTypes, generate_account_sas
from azure.storage.queue import QueueClient

from infra import redrive
from local.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from local.speech import Fault
from local.tools import PROJECT
from tests.support.app import App
from tests.support.sound import murmur, wav
from tests.support.sweeping import DatedClock, store_document
from transcription.settings.app import StorageSettings
from transcription.storage import listing
from transcription.storage.names import MAX_NAME_UNITS
from transcription.storage.queues import AGAIN_QUEUE, AgainMessage, AgainQueue

RECORDING = wav(murmur(0.5))
LATER = DatedClock(timedelta(minutes=11))


def run(app: App, *arguments: str) -> int:
    return redrive.main(arguments, app.environ, LATER)


@pytest.fixture(autouse=True)
def messages(azurite: Azurite) -> Iterator[QueueClient]:
    """Yield the queue, which all tests share, without the messages of others."""
    with QueueClient.from_connection_string(azurite.connection_string, AGAIN_QUEUE) as queue:
        try:
            queue.clear_messages()
        except ResourceNotFoundError:
            queue.create_queue()
        yield queue


def taken(messages: QueueClient) -> list[dict[str, Any]]:
    """Return the content of all messages, and delete them."""
    contents = []
    for message in messages.receive_messages(messages_per_page=32):
        contents.append(json.loads(base64.b64decode(message.content)))
        messages.delete_message(message)
    return contents


def queued(app: App, messages: QueueClient, *arguments: str) -> set[str]:
    """Run the script and return the names of the uploads that it queued."""
    assert run(app, *arguments) == 0
    return {message["name"] for message in taken(messages)}


@pytest.fixture
def uploads(app: App) -> App:
    """Return an app with one upload of each kind."""
    names = ("done", "exhausted", "misconfigured", "replaced", "broken", "given up", "never", "fr-FR/never", "folder")
    for name in names:
        content = b"no audio" if name == "broken" else RECORDING
        app.upload(name, content, **({"hdi_isfolder": "true"} if name == "folder" else {}))
    for name in ("done", "replaced", "broken"):
        app.run(name)
    app.run("misconfigured", AZURE_SPEECH_KEY=None)
    app.upload("replaced", RECORDING)
    app.job().abandon(f'{{"ContainerName": "{app.audio.container_name}", "BlobName": "exhausted"}}'.encode())
    store_document(app, "given up", status="Failed", try_again="false")
    failure = {"status": "Failed", "error": {"code": "Abandoned", "message": "after five tries", "tryAgain": False}}
    document = app.transcripts.get_blob_client("given up.json")
    document.upload_blob(json.dumps(failure), overwrite=True, metadata=document.get_blob_properties().metadata)
    return app


UNFINISHED = {"exhausted", "misconfigured", "replaced", "given up", "never", "fr-FR/never"}


def test_unfinished_uploads_are_queued(uploads: App, messages: QueueClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert queued(uploads, messages) == UNFINISHED
    output = capsys.readouterr().out
    assert "again    'never': no transcript" in output
    assert "again    'replaced': the transcript belongs to earlier content" in output
    assert "again    'misconfigured': it failed, and may succeed now" in output
    assert "again    'given up': the app gave up on it" in output
    assert "8 uploads: 2 finished, 6 queued, 0 failed" in output


def test_finished_uploads_are_left_alone(uploads: App, messages: QueueClient) -> None:
    for name in UNFINISHED - {"given up"}:
        uploads.run(name)
    assert queued(uploads, messages) == {"given up"}


def test_the_count_of_tries_starts_over(app: App, messages: QueueClient) -> None:
    app.upload("a", RECORDING)
    assert run(app) == 0
    assert taken(messages) == [{"name": "a", "unwritten": 0, "reset": True}]


def test_uploads_and_documents_are_only_read(uploads: App) -> None:
    def state() -> list[tuple[str, str]]:
        containers = (uploads.audio, uploads.transcripts)
        return [(blob.name, blob.etag) for container in containers for blob in container.list_blobs()]

    before = state()
    assert run(uploads) == 0
    assert state() == before


def test_running_it_again_queues_the_same_uploads(uploads: App, messages: QueueClient) -> None:
    assert queued(uploads, messages) == queued(uploads, messages) == UNFINISHED


def test_uploads_of_the_last_ten_minutes_are_left_alone(app: App, messages: QueueClient) -> None:
    app.upload("a", RECORDING)
    assert redrive.main([], app.environ) == 0
    assert redrive.main([], app.environ, DatedClock(timedelta(minutes=9))) == 0
    assert taken(messages) == []


def test_a_partial_transcript_is_queued_if_another_try_may_find_more_words(app: App, messages: QueueClient) -> None:
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 2))
    app.endpoint.faults.extend([Fault.none(), Fault.status(401)])
    app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert queued(app, messages) == {"a.wav"}


def test_documents_of_older_versions_are_read(app: App, messages: QueueClient) -> None:
    for name, try_again in (("a", True), ("b", False)):
        app.upload(name, RECORDING)
        store_document(app, name, status="Failed")
        document = app.transcripts.get_blob_client(f"{name}.json")
        content = json.dumps({"status": "Failed", "error": {"code": "Configuration", "tryAgain": try_again}})
        document.upload_blob(content, overwrite=True, metadata=document.get_blob_properties().metadata)
    assert queued(app, messages) == {"a"}


def test_a_dry_run_queues_nothing(uploads: App, messages: QueueClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert queued(uploads, messages, "--dry-run") == set()
    assert "8 uploads: 2 finished, 6 to queue" in capsys.readouterr().out


def test_a_prefix_selects_uploads(uploads: App, messages: QueueClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert queued(uploads, messages, "--prefix", "fr-FR/") == {"fr-FR/never"}
    assert "1 uploads: 0 finished" in capsys.readouterr().out


def test_a_date_selects_uploads(uploads: App, messages: QueueClient) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert queued(uploads, messages, "--since", tomorrow) == set()
    assert queued(uploads, messages, "--since", "1h") == UNFINISHED


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


def test_uploads_of_any_name_are_queued(app: App, messages: QueueClient, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert queued(app, messages) == names
    assert len(capsys.readouterr().out.splitlines()) == len(names) + 1
    for name in names:
        app.run(name)
    assert queued(app, messages) == set()
    assert queued(app, messages, "--prefix", "x" * (MAX_NAME_UNITS - 1)) == set()


def test_listings_of_several_pages_are_read_to_the_end(
    app: App, messages: QueueClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listing, "PAGE_BLOBS", 2)
    monkeypatch.setattr(redrive, "PROGRESS_BLOBS", 3)
    for number in range(9):
        app.upload(f"{number}.wav", RECORDING)
        if number % 4:
            store_document(app, f"{number}.wav", status="Succeeded", try_again="false")
    assert queued(app, messages) == {"0.wav", "4.wav", "8.wav"}
    assert "…        6 uploads listed\n…        9 uploads listed\n…        3 outputs listed" in capsys.readouterr().out


def test_more_than_a_thousand_uploads_are_queued(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1_001):
        app.audio.upload_blob(f"{number}.wav", b"")
    sent: list[AgainMessage] = []
    monkeypatch.setattr(AgainQueue, "send", lambda _, message, seconds: sent.append(message))
    assert run(app) == 0
    assert len(sent) == 1_001


def test_an_upload_whose_document_cannot_be_read_is_reported_and_the_others_are_queued(
    app: App, messages: QueueClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        app.upload(name, RECORDING)
    read = BlobClient.get_blob_properties

    def read_or_refuse(blob: BlobClient, **options: Any) -> object:
        if blob.blob_name == "b.json":
            raise ServiceRequestError("the connection broke")
        return read(blob, **options)

    monkeypatch.setattr(BlobClient, "get_blob_properties", read_or_refuse)
    assert run(app) == 1
    output = capsys.readouterr().out
    assert "FAILED   'b': " in output
    assert "3 uploads: 0 finished, 2 queued, 1 failed" in output
    assert {message["name"] for message in taken(messages)} == {"a", "c"}


def test_a_queue_that_fails_ends_the_run(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise ServiceRequestError("the connection broke")

    app.upload("a", RECORDING)
    monkeypatch.setattr(AgainQueue, "send", refuse)
    assert run(app) == 1
    output = capsys.readouterr().out
    assert "Gave up: " in output
    assert "1 uploads: 0 finished, 0 queued, 0 failed" in output


def test_a_stopped_run_says_how_far_it_came(
    app: App, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: AgainQueue, message: AgainMessage, seconds: float) -> None:
        if message.name == "b":
            raise KeyboardInterrupt

    for name in ("a", "b", "c"):
        app.upload(name, RECORDING)
        store_document(app, name, status="Failed", try_again="true", source_etag="0x1")
    monkeypatch.setattr(AgainQueue, "send", stop)
    assert run(app) == 1
    output = capsys.readouterr().out
    assert "Stopped. Run the script again to continue.\n3 uploads: 0 finished, 1 queued, 0 failed" in output


def test_the_queue_is_made_when_it_is_missing(app: App, messages: QueueClient) -> None:
    app.upload("a", RECORDING)
    messages.delete_queue()
    assert queued(app, messages) == {"a"}


def test_without_a_transcript_container_every_upload_is_queued(app: App, messages: QueueClient) -> None:
    app.upload("a", RECORDING)
    assert queued(app, messages, "--transcript-container", "not-made-yet") == {"a"}


def test_a_missing_container_of_uploads_is_an_error(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(app, "--audio-container", "not-there") == 1
    assert "Gave up: The specified container does not exist." in capsys.readouterr().out


def test_a_connection_string_without_a_queue_is_an_error(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    app.upload("a", RECORDING)
    signature = generate_account_sas(
        ACCOUNT,
        ACCOUNT_KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    connection = f"BlobEndpoint={app.service.url};SharedAccessSignature={signature}"
    assert redrive.main([], {**app.environ, "AudioStorage": connection}, LATER) == 1
    assert "Gave up: AudioStorage names no queue endpoint." in capsys.readouterr().out


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
    environ = redrive.storage_environ(
        options,
        {
            "AudioStorage": "of another account",
            "AudioStorage__queueServiceUri": "https://other.queue.core.windows.net",
            "AUDIO_CONTAINER": "uploads",
        },
    )
    settings = StorageSettings.read(environ)
    assert (settings.account_url, settings.queue_url, settings.connection_string, settings.audio_container) == (
        "https://name.blob.core.windows.net",
        "https://name.queue.core.windows.net",
        None,
        "uploads",
    )
    service, _ = redrive.connect(settings)
    with service:
        assert type(service.credential).__name__ == "DefaultAzureCredential"


@pytest.mark.parametrize(
    ("blobs", "queues"),
    [
        ("https://name.blob.core.windows.net", "https://name.queue.core.windows.net"),
        ("https://name.blob.core.windows.net/", "https://name.queue.core.windows.net/"),
        ("https://blob.blob.core.usgovcloudapi.net", "https://blob.queue.core.usgovcloudapi.net"),
        ("https://name.z12.blob.storage.azure.net", "https://name.z12.queue.storage.azure.net"),
        (None, None),
    ],
)
def test_the_queues_address_follows_from_that_of_the_blobs(blobs: str | None, queues: str | None) -> None:
    assert redrive.queue_url(blobs) == queues


def test_a_domain_of_ones_own_needs_the_queues_address_too(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--account-url", "https://recordings.example.com/"]
    assert redrive.main(arguments, {}) == 2
    assert "--queue-url" in capsys.readouterr().out
    options = redrive.parser().parse_args([*arguments, "--queue-url", "https://queues.example.com"])
    assert StorageSettings.read(redrive.storage_environ(options, {})).queue_url == "https://queues.example.com"


def test_the_script_runs_as_a_file(app: App, messages: QueueClient) -> None:
    app.upload("a.wav", RECORDING)
    done = subprocess.run(
        [sys.executable, "infra/redrive.py", "--dry-run"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **app.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "0 uploads: 0 finished, 0 to queue, 0 failed\n"  # this one is less than ten minutes old
    assert taken(messages) == []
