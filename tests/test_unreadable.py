"""Uploads that are there but cannot be read, and those that get their content late: the sweep finishes them."""

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.app import App
from tests.support.sound import murmur, wav
from tests.support.storage_proxy import StorageProxy, storage_proxy
from tests.support.sweeping import DatedClock
from transcription.errors import StorageFailed
from transcription.storage.progress import ATTEMPT_WAITS, MAX_ATTEMPTS

RECORDING = wav(murmur(2.0))
CAUSES = {
    "BlobArchived": (409, "Rehydrate it to Hot or Cool"),
    "BlobBeingRehydrated": (409, "Wait up to 15 hours"),
    "BlobUsesCustomerSpecifiedEncryption": (409, "Upload it again without such a key"),
    "AuthorizationFailure": (403, "Check the network rules"),
    "KeyVaultEncryptionKeyNotFound": (403, "Restore the key"),
}


@pytest.fixture
def clock() -> DatedClock:
    return DatedClock(timedelta())


@pytest.fixture
def storage(app: App) -> Iterator[StorageProxy]:
    url = app.service.url.rstrip("/")
    with storage_proxy(url) as proxy:
        app.environ["AudioStorage"] = app.environ["AudioStorage"].replace(url, proxy.url)
        yield proxy


def refuse(storage: StorageProxy, code: str, *methods: str) -> None:
    """Let storage refuse these requests for the upload, as it does for this cause."""
    status = CAUSES[code][0]
    storage.rule = lambda method, path: (status, code) if method in methods and path.endswith("/a.wav") else None


def sweep_and_deliver(app: App, clock: DatedClock, seconds: float) -> None:
    """Sweep so much later, and deliver what that queues."""
    clock.ahead = timedelta(seconds=seconds)
    app.queue.sent.clear()
    app.job().sweep()
    if not app.queue.sent:
        pytest.fail(f"nothing is queued after {seconds:.0f} s")
    for _ in range(len(app.queue.sent)):
        app.again()


@pytest.mark.parametrize("code", CAUSES)
def test_an_upload_that_cannot_be_read_says_why_and_is_finished_once_it_can(
    code: str, app: App, storage: StorageProxy, clock: DatedClock
) -> None:
    app.job().sweep()  # the first one, which only notes when the app began
    app.upload("a.wav", RECORDING)
    refuse(storage, code, "GET")
    app.run("a.wav")
    error = app.document("a.wav")["error"]
    assert (error["code"], error["tryAgain"]) == ("UploadUnreadable", True)
    assert code in error["message"]
    assert CAUSES[code][1] in error["message"]
    assert storage.url not in error["message"]
    storage.rule = None
    sweep_and_deliver(app, clock, 16 * 60)
    assert app.document("a.wav")["status"] == "Succeeded"
    assert app.requests == 1


def test_an_upload_that_stays_unreadable_is_never_given_up(app: App, storage: StorageProxy, clock: DatedClock) -> None:
    app.job().sweep()
    app.upload("a.wav", RECORDING)
    refuse(storage, "BlobArchived", "GET")
    app.run("a.wav")
    later = 0.0
    for wait in (*ATTEMPT_WAITS, *[ATTEMPT_WAITS[-1]] * 2):
        later += wait + 60
        sweep_and_deliver(app, clock, later)
        assert app.document("a.wav")["error"]["code"] == "UploadUnreadable"
    assert len(ATTEMPT_WAITS) + 2 > MAX_ATTEMPTS


def test_an_upload_under_its_uploaders_key_has_a_document_although_its_properties_are_refused(
    app: App, storage: StorageProxy
) -> None:
    etag = app.upload("a.wav", RECORDING)
    app.upload("a.wav-2", RECORDING)
    refuse(storage, "BlobUsesCustomerSpecifiedEncryption", "GET", "HEAD")
    app.run("a.wav")
    document = app.document("a.wav")
    assert (document["error"]["code"], document["source"]["etag"]) == ("UploadUnreadable", etag)


def test_storage_behind_a_firewall_is_named_in_the_error(app: App, storage: StorageProxy) -> None:
    app.upload("a.wav", RECORDING)
    storage.rule = lambda *_: (403, "AuthorizationFailure")
    with pytest.raises(StorageFailed, match="Check the network rules"):
        app.run("a.wav")


def test_an_append_blob_that_is_filled_later_is_transcribed_after_the_next_sweep(app: App, clock: DatedClock) -> None:
    app.job().sweep()
    blob = app.audio.get_blob_client("a.wav")
    blob.create_append_blob()
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "EmptyUpload"
    blob.append_block(RECORDING)  # without an event: Event Grid tells of new blobs only
    sweep_and_deliver(app, clock, 11 * 60)
    assert app.document("a.wav")["status"] == "Succeeded"


def test_an_upload_that_cannot_be_read_is_logged_as_an_error(
    app: App, storage: StorageProxy, caplog: pytest.LogCaptureFixture
) -> None:
    app.upload("a.wav", RECORDING)
    refuse(storage, "BlobArchived", "GET")
    with caplog.at_level(logging.ERROR):
        app.run("a.wav")
    assert "Rehydrate it to Hot or Cool" in caplog.text
