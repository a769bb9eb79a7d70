"""Azurite, the storage emulator, as a child process."""

import socket
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from azure.storage.queue import QueueClient

from local.azurite import Azurite, AzuriteError


def test_it_serves_blobs_and_queues() -> None:
    with Azurite() as azurite:
        connection = azurite.connection_string
        with ContainerClient.from_connection_string(connection, "box") as container:
            container.create_container()
            assert list(container.list_blobs()) == []
        with QueueClient.from_connection_string(connection, "line") as queue:
            queue.create_queue()
            assert queue.receive_message() is None


def test_two_can_run_at_the_same_time_on_different_ports(azurite: Azurite) -> None:
    with Azurite() as other:
        assert other.connection_string != azurite.connection_string


def test_blobs_in_a_folder_survive_a_restart(tmp_path: Path) -> None:
    with (
        Azurite(tmp_path / "storage") as azurite,
        ContainerClient.from_connection_string(azurite.connection_string, "box") as container,
    ):
        container.create_container()
        container.upload_blob("a", b"kept")
    with (
        Azurite(tmp_path / "storage") as azurite,
        ContainerClient.from_connection_string(azurite.connection_string, "box") as container,
    ):
        assert container.download_blob("a").readall() == b"kept"


def test_an_occupied_port_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Azurite(blob_port=port) as azurite, pytest.raises(AzuriteError, match=f"EADDRINUSE.*{port}"):
            assert azurite.connection_string
