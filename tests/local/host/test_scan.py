"""The scan of a container, and the receipts that it keeps."""

import time

from azure.storage.blob import ContainerClient

from local.host.standin import host_id
from tests.local.host.conftest import Start
from tests.support.host_app import HostApp
from tests.support.processes import eventually

A_WHILE = 1.5  # seconds; enough for two more scans


def test_after_a_restart_nothing_is_delivered_twice(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("a.wav", "b.wav")
        eventually(lambda: len(app.calls("end")) == 2)
    with start_plain():
        time.sleep(A_WHILE)
        app.upload("c.wav")
        eventually(lambda: len(app.calls("end")) == 3)
    assert sorted(app.calls()) == ["a.wav", "b.wav", "c.wav"]


def test_a_lost_receipt_only_causes_another_delivery(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("a.wav")
        eventually(lambda: app.calls("end") == ["a.wav"])
    hosts = ContainerClient.from_connection_string(app.storage.connection_string, "azure-webjobs-hosts")
    with hosts:
        (receipt,) = hosts.list_blob_names(name_starts_with=f"blobreceipts/{host_id(app.folder)}/")
        hosts.delete_blob(receipt)
    with start_plain():
        eventually(lambda: app.calls("end") == ["a.wav", "a.wav"])


def test_a_blob_with_the_longest_name_is_delivered_once(app: HostApp, start_plain: Start) -> None:
    longest = "é" * 1019 + ".wav"
    with start_plain():
        app.upload(longest)
        eventually(lambda: app.calls("end") == [longest])
        time.sleep(A_WHILE)
    assert app.calls() == [longest]
