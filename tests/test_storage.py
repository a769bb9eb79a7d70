"""The storage clients: how long they try, and what their errors tell."""

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpTransport

from tests.support import app_settings
from transcription.settings import StorageSettings
from transcription.storage import Storage

NOBODY_THERE = "BlobEndpoint=http://127.0.0.1:9/a;SharedAccessSignature=sv=2026&sig=c2VjcmV0"


def test_storage_that_refuses_connections_is_tried_for_some_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own default takes 86 s, and five tries of the host would take seven minutes."""
    waits: list[float] = []
    monkeypatch.setattr(HttpTransport, "sleep", lambda _, seconds: waits.append(seconds))
    storage = Storage.connect(StorageSettings.read(app_settings(AudioStorage=NOBODY_THERE)))
    with pytest.raises(ServiceRequestError):
        storage.upload("a.wav")
    assert len(waits) == 3, "a passing fault is waited out all the same"
    assert sum(waits) <= 30
