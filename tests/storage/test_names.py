"""Names of uploads: each has its own output, and none leads out of the container."""

import json
import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas
from hypothesis import given, settings

from local.azurite import ACCOUNT, ACCOUNT_KEY
from tests.support.app import App, check_document, host
from tests.support.blob_names import LISTED, UNLISTED, names, units
from tests.support.sound import murmur, wav
from transcription.storage.names import LONGEST_NAME, LONGEST_STEM, is_reachable, output_name

RECORDING = wav(murmur(0.2))
GENERATED = 2000


def test_a_name_that_fits_only_gets_a_suffix() -> None:
    assert output_name("fr-FR/meeting.m4a") == "fr-FR/meeting.m4a.json"
    assert output_name("a.wav", "vtt") == "a.wav.vtt"
    assert output_name("x" * LONGEST_STEM) == "x" * LONGEST_STEM + ".json"


def test_a_name_that_does_not_fit_keeps_its_beginning_and_ends_in_its_hash() -> None:
    name = "fr-FR/" + "x" * (LONGEST_NAME - 6)
    output = output_name(name)
    assert len(output) == LONGEST_NAME
    assert output.startswith("fr-FR/xxx")
    assert output_name(name, "vtt").removesuffix(".vtt") == output.removesuffix(".json")


def test_a_name_made_to_collide_with_anothers_output_does_not() -> None:
    name = "x" * LONGEST_NAME
    for _ in range(5):
        made = output_name(name).removesuffix(".json")
        assert output_name(made) != output_name(name)
        name = made


def test_a_surrogate_pair_is_not_cut_in_half() -> None:
    for name in ("😀" * 512, "x" + "😀" * 511):
        assert LONGEST_NAME - 1 <= units(output_name(name)) <= LONGEST_NAME


@given(names(), names())
@settings(max_examples=GENERATED, deadline=None, derandomize=True, database=None)
def test_different_names_have_different_outputs(one: str, other: str) -> None:
    stems = [output_name(name).removesuffix(".json") for name in (one, other)]
    for another in (other, *stems, *(output_name(stem).removesuffix(".json") for stem in stems)):
        assert (output_name(another) == output_name(one)) == (another == one)
    assert units(output_name(one)) <= LONGEST_NAME
    assert is_reachable(output_name(one)) or not is_reachable(one)
    output_name(one).encode()


def test_every_chosen_name_gets_its_document(app: App) -> None:
    job = app.job()
    for name in LISTED + UNLISTED:
        etag = app.upload(name, RECORDING)
        job.run(app.audio.container_name, name)
        document = json.loads(app.transcripts.download_blob(output_name(name)).readall())
        check_document(document)
        assert (document["status"], document["source"]["name"], document["source"]["etag"]) == ("Succeeded", name, etag)
    assert app.requests == len({output_name(name) for name in LISTED + UNLISTED}) == len(LISTED + UNLISTED) >= 40


def test_every_chosen_name_gets_its_document_through_host_and_worker(app: App, worker: Path) -> None:
    for name in LISTED:
        app.upload(name, RECORDING)
    deadline = time.monotonic() + 60
    with host(app, worker):
        while len(app.documents()) < len(LISTED) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert app.documents() == sorted(map(output_name, LISTED))
    assert app.requests == len(LISTED)


@pytest.mark.parametrize(
    "name",
    ["", "\ud800", "a\udfff.wav", "a\0b.wav", "x" * (LONGEST_NAME + 1), "..", "a/../b", "./a", "a/.", "a\\..\\b"],
)
def test_a_name_that_no_request_can_reach_is_ignored_without_a_request(
    app: App, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.run(name, AudioStorage="AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:9/a;")
    assert [record.message.splitlines() for record in caplog.records if "Ignored" in record.message] == [
        [f"Ignored {name!r:.200}: a request for that name would not reach that blob"]
    ]


@pytest.fixture
def shared_access(app: App) -> Iterator[BlobServiceClient]:
    """Yield a connection that may reach every container, as a managed identity may."""
    signature = generate_account_sas(
        ACCOUNT,
        ACCOUNT_KEY,
        ResourceTypes(object=True, container=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    with BlobServiceClient(app.service.url, credential=signature) as service:
        yield service


def test_a_name_leads_to_no_other_container(app: App, shared_access: BlobServiceClient) -> None:
    private = app.service.create_container(f"private-{uuid.uuid4().hex[:12]}")
    private.upload_blob("a.wav", RECORDING)
    name = f"x/../../{private.container_name}/a.wav"
    client = shared_access.get_blob_client(app.audio.container_name, name)
    assert client.download_blob().readall() == RECORDING, "otherwise this test proves nothing"
    connection = f"BlobEndpoint={app.service.url};SharedAccessSignature={shared_access.url.partition('?')[2]}"
    app.run(name, AudioStorage=connection)
    assert (app.requests, app.documents(), list(private.list_blob_names())) == (0, [], ["a.wav"])
    private.delete_container()


def test_a_name_cannot_forge_a_line_of_the_log(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    name = 'a\n{"event": "transcription", "status": "Succeeded"}\r\n\x7f\u202e".wav'
    app.upload(name, RECORDING)
    app.run(name, AZURE_SPEECH_KEY=None)
    app.audio.delete_blob(name)
    app.run(name)
    app.job().run(name, name)
    assert len(caplog.records) >= 4
    for record in caplog.records:
        assert record.message.isprintable()
    (line,) = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert (line["name"], line["status"], line["code"]) == (name, "Failed", "Configuration")
