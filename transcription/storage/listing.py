"""Lists the blobs of a container page by page.

A page holds 5,000 blobs and takes 60 MB while it is read. The SDK's own iterator keeps the last page until it has read
the next one. Here the last page is gone by then.
"""

from collections.abc import Iterator
from typing import Any

from azure.storage.blob import BlobProperties, ContainerClient

PAGE_BLOBS = 5_000  # blobs of one request; storage lists no more


def listed(container: ContainerClient, prefix: str = "") -> Iterator[BlobProperties]:
    """Yield the blobs with their metadata.

    The SDK's errors pass through, such as ResourceNotFoundError if there is no such container.
    """
    token: str | None = None
    while True:
        pages: Any = container.list_blobs(prefix, include=["metadata"], results_per_page=PAGE_BLOBS).by_page(token)
        page = list(next(pages))
        token = pages.continuation_token
        yield from page
        del page  # before the next one is requested
        if not token:
            return
