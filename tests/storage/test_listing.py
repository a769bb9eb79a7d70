"""Listings of any length are read to the end, and never two pages at once."""

import gc
import weakref

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from tests.support.app import App
from transcription.storage import listing
from transcription.storage.listing import listed


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE_BLOBS", 2)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_all_pages_are_listed_once_and_with_metadata(app: App, number: int) -> None:
    for each in range(number):
        app.upload(f"{each}.wav", b"", number=str(each))
    assert [(blob.name, blob.metadata["number"]) for blob in listed(app.audio)] == [
        (f"{each}.wav", str(each)) for each in range(number)
    ]


def test_a_prefix_selects_blobs(app: App) -> None:
    for name in ("a", "ab", "b"):
        app.upload(name, b"")
    assert [blob.name for blob in listed(app.audio, "a")] == ["a", "ab"]


def test_a_missing_container_is_an_error(app: App) -> None:
    with pytest.raises(ResourceNotFoundError):
        list(listed(app.service.get_container_client("not-there")))


@pytest.mark.usefixtures("small_pages")
def test_a_page_is_gone_before_the_next_one_is_requested(app: App) -> None:
    for each in range(6):
        app.upload(f"{each}.wav", b"")
    seen: list[weakref.ref[BlobProperties]] = []
    alive: list[int] = []

    def count(_: object) -> None:
        gc.collect()
        alive.append(sum(blob() is not None for blob in seen))

    with BlobServiceClient.from_connection_string(app.environ["AudioStorage"], raw_request_hook=count) as service:
        for blob in listed(service.get_container_client(app.audio.container_name)):
            seen.append(weakref.ref(blob))
    assert alive == [0, 1, 1]  # the last one is still in `blob`
