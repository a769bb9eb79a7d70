"""Fixtures for tests of storage."""

import uuid
from collections.abc import Iterator

import pytest
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite
from tests.support.clock import FakeClock
from tests.support.settings import app_settings
from tests.support.work import Work
from transcription.settings.app import StorageSettings


@pytest.fixture
def work(azurite: Azurite, clock: FakeClock) -> Iterator[Work]:
    connection = azurite.connection_string
    settings = StorageSettings.read(app_settings(AudioStorage=connection, WORK_CONTAINER=f"work-{uuid.uuid4().hex}"))
    with BlobServiceClient.from_connection_string(connection) as service:
        yield Work(service, settings, clock)
