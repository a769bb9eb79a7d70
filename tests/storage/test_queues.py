"""Messages for another try arrive as the host expects them, and nothing that others send is trusted."""

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.azurite import Azurite
from local.tools import PROJECT
from tests.support.settings import app_settings
from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.storage.queues import AGAIN_QUEUE, MAX_INVISIBLE_SECONDS, AgainMessage, AgainQueue

HOSTILE_NAMES = ("a.wav", "fr-FR/réunion 会議 🎙.m4a", '"}\\', "x" * 1024, "\n")


@pytest.fixture
def stored(azurite: Azurite) -> Iterator[QueueClient]:
    """Yield a client of a new queue that does not exist yet, without any encoding."""
    with QueueClient.from_connection_string(azurite.connection_string, f"again-{uuid.uuid4().hex[:12]}") as client:
        yield client
        with suppress(ResourceNotFoundError):
            client.delete_queue()


@pytest.fixture
def queue(azurite: Azurite, stored: QueueClient) -> AgainQueue:
    settings = StorageSettings.read(app_settings(AudioStorage=azurite.connection_string))
    return AgainQueue(settings, stored.queue_name)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_message_is_base64_of_json_that_can_be_read_again(queue: AgainQueue, stored: QueueClient, name: str) -> None:
    message = AgainMessage(name, unwritten=2, reset=True)
    queue.send(message, 0)
    received = stored.receive_message()
    assert received
    body = base64.b64decode(received.content, validate=True)
    assert json.loads(body) == {"name": name, "unwritten": 2, "reset": True}
    assert AgainMessage.decode(body) == message


def test_a_message_never_expires(queue: AgainQueue, stored: QueueClient) -> None:
    queue.send(AgainMessage("a.wav"), 0)
    received = stored.receive_message()
    assert received
    assert received.expires_on
    assert received.expires_on.year > 2100


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [(300.4, 300), (30 * 24 * 3600.0, MAX_INVISIBLE_SECONDS), (float("inf"), MAX_INVISIBLE_SECONDS)],
)
def test_a_message_stays_invisible_for_its_time_but_not_for_more_than_six_hours(
    queue: AgainQueue, stored: QueueClient, monkeypatch: pytest.MonkeyPatch, seconds: float, wait: int
) -> None:
    waits: list[int] = []
    send = QueueClient.send_message

    def recorded(client: QueueClient, content: str, **options: int) -> object:
        waits.append(options["visibility_timeout"])
        return send(client, content, **options)

    monkeypatch.setattr(QueueClient, "send_message", recorded)
    queue.send(AgainMessage("a.wav"), seconds)
    assert stored.receive_message() is None
    assert queue.waiting() == 1
    assert waits[-1] == wait


def test_a_time_that_has_passed_means_now(queue: AgainQueue, stored: QueueClient) -> None:
    queue.send(AgainMessage("a.wav"), -5)
    assert stored.receive_message() is not None


def test_a_missing_queue_is_created_with_the_first_message(queue: AgainQueue) -> None:
    assert queue.waiting() == 0
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: queue.send(AgainMessage(f"{number}.wav"), 0), range(8)))
    assert queue.waiting() == 8


def test_messages_that_wait_are_counted_even_while_they_are_invisible(queue: AgainQueue) -> None:
    for _ in range(3):
        queue.send(AgainMessage("a.wav"), 3600)
    assert queue.waiting() == 3


def test_the_queue_of_the_process_is_the_one_that_the_function_reads(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(QueueClient, "send_message", lambda client, *_, **__: sent.append(client.queue_name))
    settings = StorageSettings.read(app_settings(AudioStorage=azurite.connection_string))
    AgainQueue(settings).send(AgainMessage("a.wav"), 0)
    assert sent == [AGAIN_QUEUE]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain text",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"a.wav"',
        b"{}",
        b'{"name": null}',
        b'{"name": 5}',
        b'{"name": ""}',
        b'{"name": "../../other/a.wav"}',
        b'{"name": "a\\u0000"}',
        b'{"name": "\\ud800"}',
        b'{"name": "a.wav", "unwritten": -1}',
        b'{"name": "a.wav", "unwritten": true}',
        b'{"name": "a.wav", "unwritten": 1.5}',
        b'{"name": "a.wav", "unwritten": 1e999}',
        b'{"name": "a.wav", "unwritten": 99999999999}',
        b'{"name": "a.wav", "reset": "yes"}',
        json.dumps({"name": "x" * 1025}).encode(),
    ],
)
def test_anything_else_on_the_queue_is_ignored_with_a_warning(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert AgainMessage.decode(body) is None
    assert "Ignored a message" in caplog.text


def test_a_message_of_an_older_or_newer_version_is_understood() -> None:
    assert AgainMessage.decode(b'{"name": "a.wav", "colour": 1}') == AgainMessage("a.wav")


def test_a_connection_string_without_a_queue_endpoint_is_reported_without_its_secrets() -> None:
    connection = "BlobEndpoint=https://a.example.com;SharedAccessSignature=sv=2026&sig=c2VjcmV0"
    queue = AgainQueue(StorageSettings.read(app_settings(AudioStorage=connection)))
    with pytest.raises(StorageFailed, match="no queue endpoint") as failed:
        queue.waiting()
    assert "c2VjcmV0" not in str(failed.value)


def test_a_managed_identity_reaches_the_queue_url(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []
    monkeypatch.setattr(QueueClient, "send_message", lambda client, *_, **__: urls.append(client.url))
    settings = app_settings(
        AudioStorage=None,
        AudioStorage__blobServiceUri="https://acc.blob.core.windows.net",
        AudioStorage__queueServiceUri="https://acc.queue.core.windows.net",
    )
    AgainQueue(StorageSettings.read(settings)).send(AgainMessage("a.wav"), 0)
    assert urls == [f"https://acc.queue.core.windows.net/{AGAIN_QUEUE}"]


def test_the_queue_client_is_imported_with_the_first_message_only() -> None:
    code = "import sys; import transcription.storage.queues; sys.exit('azure.storage.queue' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
