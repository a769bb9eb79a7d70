"""Captions next to a document belong to that document, however many workers write at the same time."""

import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pysubs2
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient, ContainerSasPermissions, ContentSettings

from local.speech import Fault
from tests.support.app import App
from tests.support.refusing_storage import CREATION, limited, refusing_storage, shared_key
from tests.support.settings import app_settings
from tests.support.sound import murmur, wav
from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.storage.account import connect, read_stored
from transcription.storage.names import output_name
from transcription.storage.refusals import code_of
from transcription.storage.transcripts import MAX_WRITES, StoredDocument, Transcripts
from transcription.storage.uploads import UploadProperties, Uploads

RECORDING = wav(murmur(2.0))
ALL = "json,vtt,srt,txt"
NOBODY = Fault.document({"RecognitionStatus": "InitialSilenceTimeout", "Offset": 0, "Duration": 0})


@pytest.fixture
def transcripts(app: App) -> Transcripts:
    return Transcripts(app.service, StorageSettings.read(app.environ))


def content(app: App, name: str) -> str:
    return app.transcripts.download_blob(name).readall().decode()


def answer(text: str) -> Fault:
    """Return an answer in which the endpoint recognises `text`."""
    return Fault.document({"RecognitionStatus": "Success", "DisplayText": text, "Offset": 0, "Duration": 19_000_000})


def call_before(monkeypatch: pytest.MonkeyPatch, blob: str, before: Callable[[], object]) -> None:
    """Call `before` once, just before `blob` is written."""
    upload = BlobClient.upload_blob

    def interrupted(client: BlobClient, *args: Any, **kwargs: Any) -> Any:
        if client.blob_name == blob:
            monkeypatch.setattr(BlobClient, "upload_blob", upload)
            before()
        return upload(client, *args, **kwargs)

    monkeypatch.setattr(BlobClient, "upload_blob", interrupted)


def test_captions_are_written_next_to_the_document_if_they_are_wanted(app: App) -> None:
    app.upload("fr-FR/meeting.m4a.wav", RECORDING)
    app.run("fr-FR/meeting.m4a.wav", TRANSCRIPT_FORMATS=ALL)
    stem = "fr-FR/meeting.m4a.wav"
    assert app.documents() == [f"{stem}.json", f"{stem}.srt", f"{stem}.txt", f"{stem}.vtt"]
    assert app.document(stem)["status"] == "Succeeded"
    for kind in ("vtt", "srt"):
        (caption,) = pysubs2.SSAFile.from_string(content(app, f"{stem}.{kind}"), format_=kind)
        assert (caption.start, caption.end, caption.text) == (100, 1900, "Hello world.")
    assert content(app, f"{stem}.txt") == "Hello world.\n"


def test_each_output_has_its_content_type(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    types = {blob.name: blob.content_settings.content_type for blob in app.transcripts.list_blobs()}
    assert types == {
        "a.wav.json": "application/json; charset=utf-8",
        "a.wav.vtt": "text/vtt; charset=utf-8",
        "a.wav.srt": "application/x-subrip; charset=utf-8",
        "a.wav.txt": "text/plain; charset=utf-8",
    }


def test_the_document_is_written_last(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    written_before: list[list[str]] = []
    app.upload("a.wav", RECORDING)
    job = app.job(TRANSCRIPT_FORMATS=ALL)
    call_before(monkeypatch, "a.wav.json", lambda: written_before.append(app.documents()))
    job.run(app.audio.container_name, "a.wav")
    assert written_before == [["a.wav.srt", "a.wav.txt", "a.wav.vtt"]]


@pytest.mark.parametrize("outcome", ["Failed", "NoSpeech"])
def test_an_outcome_without_a_transcript_has_no_captions_and_removes_older_ones(app: App, outcome: str) -> None:
    app.upload("a.wav", RECORDING)
    app.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    app.endpoint.faults.append(NOBODY)
    app.upload("a.wav", b"a text file" if outcome == "Failed" else RECORDING)
    app.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    assert app.document("a.wav")["status"] == outcome
    assert app.documents() == ["a.wav.json"]


def test_captions_that_are_no_longer_wanted_are_removed(app: App) -> None:
    for formats, kinds in ((ALL, {"json", "srt", "txt", "vtt"}), ("json,txt", {"json", "txt"}), ("json", {"json"})):
        app.upload("a.wav", RECORDING)
        app.run("a.wav", TRANSCRIPT_FORMATS=formats)
        assert {name.rpartition(".")[2] for name in app.documents()} == kinds


def test_new_captions_replace_older_ones(app: App) -> None:
    for text in ("First.", "Second."):
        app.upload("a.wav", RECORDING)
        app.endpoint.faults.append(answer(text))
        app.run("a.wav", TRANSCRIPT_FORMATS="vtt")
        assert (app.document("a.wav")["text"], content(app, "a.wav.vtt").splitlines()[-1]) == (text, text)


def test_a_first_transcript_does_not_look_up_older_captions(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object) -> StoredDocument:
        raise AssertionError("a needless request")

    monkeypatch.setattr(Transcripts, "with_captions", look_up)
    for name, formats in (("a.wav", "json"), ("b.wav", ALL)):
        app.upload(name, RECORDING)
        app.run(name, TRANSCRIPT_FORMATS=formats)
        assert app.document(name)["status"] == "Succeeded"


def test_uploads_that_are_named_like_captions_keep_their_own_outputs(app: App) -> None:
    names = ["a", "a.vtt", "a.json", "a.json.vtt", "a.vtt.json", "a.wav", "a.wav.vtt", "a.wav.json.srt"]
    for name in names:
        app.upload(name, RECORDING)
        app.endpoint.faults.append(answer(f"I am {name}."))
        app.run(name, TRANSCRIPT_FORMATS=ALL)
    assert len(app.documents()) == 4 * len(names)
    app.upload("a", b"a text file")
    app.run("a", TRANSCRIPT_FORMATS=ALL)
    assert app.document("a")["status"] == "Failed"
    assert len(app.documents()) == 4 * len(names) - 3
    for name in names[1:]:
        assert app.document(name)["text"] == f"I am {name}."
        assert content(app, f"{name}.txt") == f"I am {name}.\n"


def test_no_two_outputs_have_the_same_name() -> None:
    uploads = ["x", "x.vtt", "x.json", "x.vtt.json", "x.", ".vtt", "x..vtt", "folder/x", "folder/x.txt"]
    outputs = [output_name(upload, kind) for upload in uploads for kind in ("json", "vtt", "srt", "txt")]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("write", ["a.wav.vtt", "a.wav.srt", "a.wav.json"])
@pytest.mark.parametrize("first_time", [True, False])
@pytest.mark.parametrize("new", [RECORDING, b"a text file"], ids=["transcript", "failure"])
def test_a_late_worker_leaves_no_outputs_of_replaced_content(
    app: App, monkeypatch: pytest.MonkeyPatch, write: str, first_time: bool, new: bytes
) -> None:
    if not first_time:
        app.upload("a.wav", wav(murmur(1.0)))
        app.run("a.wav", TRANSCRIPT_FORMATS="vtt")
    app.upload("a.wav", RECORDING)
    late = app.job(TRANSCRIPT_FORMATS=ALL)

    def overtaken() -> None:
        app.upload("a.wav", new)
        app.endpoint.faults.append(answer("New."))
        app.run("a.wav", TRANSCRIPT_FORMATS=ALL)

    call_before(monkeypatch, write, overtaken)
    late.run(app.audio.container_name, "a.wav")
    if new == RECORDING:
        assert app.document("a.wav")["text"] == "New."
        assert [content(app, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")] == ["New."] * 3
    else:
        assert app.document("a.wav")["status"] == "Failed"
        assert app.documents() == ["a.wav.json"]


@pytest.mark.parametrize("write", ["a.wav.vtt", "a.wav.txt", "a.wav.json"])
def test_two_workers_on_the_same_upload_leave_the_captions_of_the_document(
    app: App, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    app.upload("a.wav", RECORDING)
    app.endpoint.faults.extend([answer("One."), answer("Other.")])
    late = app.job(TRANSCRIPT_FORMATS=ALL)
    call_before(monkeypatch, write, lambda: app.run("a.wav", TRANSCRIPT_FORMATS=ALL))
    late.run(app.audio.container_name, "a.wav")
    text = app.document("a.wav")["text"]
    assert [content(app, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")] == [text] * 3


def test_many_workers_and_replacements_leave_a_document_and_captions_of_the_same_content(app: App) -> None:
    etag = app.upload("a.wav", wav(murmur(0.5)))
    workers = []
    for number in range(1, 13):
        app.endpoint.faults.append(answer(f"Text {number}."))
        workers.append(threading.Thread(target=app.run, args=("a.wav",), kwargs={"TRANSCRIPT_FORMATS": ALL}))
        workers[-1].start()
        if number % 3 == 0:
            etag = app.upload("a.wav", wav(murmur(0.5 + number / 10)))
    for worker in workers:
        worker.join(60)
    app.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    document = app.document("a.wav")
    assert document["source"]["etag"] == etag
    texts = {content(app, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")}
    assert texts == {document["text"]}


@pytest.mark.parametrize("new", [RECORDING, b"a text file"], ids=["transcript", "failure"])
def test_captions_of_a_worker_that_died_before_its_document_are_replaced_or_removed(app: App, new: bytes) -> None:
    for kind in ("vtt", "srt"):
        app.transcripts.upload_blob(f"a.wav.{kind}", b"left behind")
    app.upload("a.wav", new)
    app.run("a.wav", TRANSCRIPT_FORMATS="vtt,srt")
    assert app.document("a.wav")["status"] == ("Succeeded" if new == RECORDING else "Failed")
    if new == RECORDING:
        assert "Hello world." in content(app, "a.wav.vtt")
        assert "Hello world." in content(app, "a.wav.srt")
    else:
        assert app.documents() == ["a.wav.json"]


def test_a_missing_transcript_container_is_created_for_captions_too(app: App) -> None:
    app.environ["TRANSCRIPT_CONTAINER"] += "-new"
    app.upload("a.wav", RECORDING)
    app.upload("b.wav", b"a text file")
    app.run("b.wav", TRANSCRIPT_FORMATS=ALL)
    app.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    app.transcripts = app.service.get_container_client(app.environ["TRANSCRIPT_CONTAINER"])
    assert len(app.documents()) == 5


def test_a_write_that_comes_too_late_changes_nothing_and_says_so(app: App, transcripts: Transcripts) -> None:
    document = {"status": "Succeeded", "source": {"etag": "0x1"}}
    nothing = StoredDocument(None)
    assert transcripts.write("a", document, {"vtt": "one", "txt": "one"}, nothing)
    assert not transcripts.write("a", document, {"vtt": "two"}, nothing)
    assert not transcripts.write("a", document, {"srt": "two"}, nothing)
    assert not transcripts.write("a", document, {}, nothing)
    assert not transcripts.write("a", document, {}, StoredDocument(transcripts.find("a").etag, captions={"vtt": "0x2"}))
    assert (app.documents(), content(app, "a.vtt")) == (["a.json", "a.txt", "a.vtt"], "one")
    stored = transcripts.with_captions(transcripts.find("a"), "a")
    assert json.loads(content(app, "a.json")) == document
    assert transcripts.write("a", document, {"vtt": "two"}, stored)
    assert (app.documents(), content(app, "a.vtt")) == (["a.json", "a.vtt"], "two")


@pytest.mark.parametrize("exists", [True, False])
def test_a_document_that_another_worker_wrote_after_the_lookup_is_not_overwritten(
    app: App, transcripts: Transcripts, exists: bool
) -> None:
    older, theirs, ours = ({"status": "Succeeded", "source": {"etag": etag}} for etag in ("0x1", "0x2", "0x3"))
    if exists:
        assert transcripts.write("a", older, {"vtt": "older"}, StoredDocument(None))
    looked_up = transcripts.with_captions(transcripts.find("a"), "a")
    assert transcripts.write("a", theirs, {"vtt": "theirs"}, looked_up)
    for captions in ({"vtt": "ours"}, {}):
        assert not transcripts.write("a", ours, captions, looked_up)
    assert (json.loads(content(app, "a.json")), content(app, "a.vtt")) == (theirs, "theirs")


def test_text_that_utf_8_cannot_hold_does_not_prevent_a_write(app: App, transcripts: Transcripts) -> None:
    document = {"status": "Succeeded", "source": {"etag": "0x1"}, "text": "Hello \ud83d."}
    assert transcripts.write("a", document, {"txt": "Hello \ud83d."}, StoredDocument(None))
    assert (json.loads(content(app, "a.json"))["text"], content(app, "a.txt")) == ("Hello ?.", "Hello ?.")


def test_a_document_with_a_number_that_json_lacks_is_not_written(app: App, transcripts: Transcripts) -> None:
    document = {"status": "Succeeded", "source": {"etag": "0x1"}, "durationSeconds": math.nan}
    with pytest.raises(ValueError, match="not JSON compliant"):
        transcripts.write("a", document, {}, StoredDocument(None))
    assert app.documents() == []


def test_a_document_is_read_as_it_is_stored_whatever_its_label_of_compression(
    app: App, transcripts: Transcripts
) -> None:
    document = {"status": "Failed", "error": {"tryAgain": False}, "source": {"etag": "1"}, "gaps": []}
    app.transcripts.upload_blob(
        "a.json",
        json.dumps(document),
        metadata={"status": "Failed", "source_etag": "1"},
        content_settings=ContentSettings(content_encoding="gzip"),
    )
    stored = transcripts.find("a")
    assert (stored.final, stored.source_etag) == (True, "1")


THIS = UploadProperties("a.wav", "1", 2, {})
PARTIAL_DOCUMENT = StoredDocument("0x1", source_etag="1", partial=True, missing=5.0)


def with_gap(seconds: float, **fields: object) -> dict[str, object]:
    return {"status": "Partial", "gaps": [{"durationSeconds": seconds}], **fields}


@pytest.mark.parametrize(
    ("stored", "new", "kept"),
    [
        (PARTIAL_DOCUMENT, with_gap(0.0, status="Failed", error={}), True),
        (PARTIAL_DOCUMENT, with_gap(6.0, error={}), True),
        (PARTIAL_DOCUMENT, with_gap(5.0, error={}), False),
        (PARTIAL_DOCUMENT, with_gap(4.0, error={}), False),
        (PARTIAL_DOCUMENT, with_gap(6.0), False),
        (replace(PARTIAL_DOCUMENT, source_etag="0"), with_gap(6.0, error={}), False),
        (replace(PARTIAL_DOCUMENT, partial=False), with_gap(6.0, error={}), False),
    ],
    ids=[
        "failure",
        "fewer words",
        "as many words",
        "more words",
        "all words",
        "old content",
        "failure before",
    ],
)
def test_a_partial_document_is_kept_if_another_try_lost_more_of_the_same_content(
    stored: StoredDocument, new: dict[str, object], kept: bool
) -> None:
    assert stored.is_preferable(new, {}, THIS) is kept


def test_a_final_partial_document_without_captions_is_kept_if_the_new_one_is_not_final() -> None:
    stored = replace(PARTIAL_DOCUMENT, final=True, missing=math.inf)
    assert stored.is_preferable(with_gap(4.0, error={}), {"vtt": "new"}, THIS)
    assert not stored.is_preferable(with_gap(4.0), {"vtt": "new"}, THIS)


@pytest.mark.parametrize(
    ("status", "error", "final"),
    [
        ("Partial", None, True),
        ("Partial", {"tryAgain": True}, False),
        ("Failed", {"tryAgain": True}, False),
        ("Failed", {"tryAgain": False}, True),
    ],
)
def test_a_document_is_final_if_another_try_would_change_nothing(
    app: App, transcripts: Transcripts, status: str, error: dict[str, bool] | None, final: bool
) -> None:
    document = with_gap(1.0, status=status, **({"error": error} if error else {}))
    app.transcripts.upload_blob("a.json", json.dumps(document), metadata={"status": status})
    assert transcripts.find("a").final is final


@pytest.mark.parametrize(
    ("status", "error", "try_again"),
    [
        ("Succeeded", None, "false"),
        ("NoSpeech", None, "false"),
        ("Partial", None, "false"),
        ("Partial", {"tryAgain": True}, "true"),
        ("Failed", {"tryAgain": True}, "true"),
        ("Failed", {"tryAgain": False}, "false"),
    ],
)
def test_the_metadata_of_a_document_tell_a_listing_whether_it_is_final(
    app: App, transcripts: Transcripts, status: str, error: dict[str, bool] | None, try_again: str
) -> None:
    document = with_gap(1.0, status=status, source={"etag": "1"}, **({"error": error} if error else {}))
    assert transcripts.write("a", document, {}, StoredDocument(None))
    (listed,) = app.transcripts.list_blobs(include=["metadata"])
    assert listed.metadata == {"status": status, "source_etag": "1", "try_again": try_again}
    assert StoredDocument.of(listed).final is (try_again == "false")
    assert transcripts.find("a").final is (try_again == "false")


@pytest.mark.parametrize("status", ["Succeeded", "NoSpeech", "Partial"])
def test_a_transcript_whose_metadata_call_it_final_is_not_read(
    app: App, transcripts: Transcripts, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    app.transcripts.upload_blob("a.json", b"{}", metadata={"status": status, "Try_Again": "false"})

    def read(*_: object) -> bytes:
        raise AssertionError("a needless request")

    monkeypatch.setattr("transcription.storage.transcripts.read_stored", read)
    assert transcripts.find("a").final


@pytest.mark.parametrize(("code", "abandoned"), [("Abandoned", True), ("Exhausted", False), (["Abandoned"], False)])
@pytest.mark.parametrize("try_again", ["true", "false", None])
def test_a_lookup_tells_whether_the_upload_was_abandoned(
    app: App, transcripts: Transcripts, code: object, abandoned: bool, try_again: str | None
) -> None:
    document = {"status": "Failed", "error": {"code": code, "tryAgain": try_again != "false"}, "gaps": []}
    metadata = {"status": "Failed"} | ({"try_again": try_again} if try_again else {})
    app.transcripts.upload_blob("a.json", json.dumps(document), metadata=metadata)
    stored = transcripts.find("a")
    assert (stored.abandoned, stored.final) == (abandoned, try_again == "false")


@pytest.mark.parametrize("body", [b"{}", b"{", b"[1]"])
def test_a_failure_whose_metadata_call_it_final_is_final_whatever_its_body(
    app: App, transcripts: Transcripts, body: bytes
) -> None:
    app.transcripts.upload_blob("a.json", body, metadata={"status": "Failed", "try_again": "false"})
    stored = transcripts.find("a")
    assert (stored.final, stored.abandoned) == (True, False)


def test_a_failure_that_is_too_long_to_be_read_is_not_final(
    app: App, transcripts: Transcripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = {"status": "Failed", "error": {"tryAgain": False}, "gaps": []}
    app.transcripts.upload_blob("a.json", json.dumps(failure), metadata={"status": "Failed"})
    assert transcripts.find("a").final
    monkeypatch.setattr("transcription.storage.transcripts.MAX_DOCUMENT_BYTES", 10)
    assert not transcripts.find("a").final


def test_a_document_that_is_rewritten_during_a_lookup_is_not_final(
    app: App, transcripts: Transcripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = json.dumps({"status": "Failed", "error": {"tryAgain": False}, "gaps": []})
    before = app.transcripts.upload_blob("a.json", failure, metadata={"status": "Failed"}).get_blob_properties().etag

    def read_too_late(blob: BlobClient, etag: str) -> bytes:
        app.transcripts.upload_blob("a.json", failure, overwrite=True)
        return read_stored(blob, etag)

    monkeypatch.setattr("transcription.storage.transcripts.read_stored", read_too_late)
    stored = transcripts.find("a")
    assert (stored.etag, stored.final) == (before, False)


def test_looking_up_captions_lists_no_blobs_of_other_uploads(
    app: App, transcripts: Transcripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    list_blobs = ContainerClient.list_blobs

    def recorded(*args: Any, **kwargs: Any) -> Any:
        for blob in list_blobs(*args, **kwargs):
            listed.append(blob.name)
            yield blob

    for name in ("a.json", "a.vtt", "b.json", "b.vtt"):
        app.transcripts.upload_blob(name, b"")
    monkeypatch.setattr(ContainerClient, "list_blobs", recorded)
    assert transcripts.with_captions(StoredDocument(None), "a").captions.keys() == {"vtt"}
    assert listed == ["a.json", "a.vtt"]


WORDS = {"status": "Succeeded", "source": {"etag": "0x1"}}


def test_a_document_under_a_lease_is_refused_and_written_after_it(app: App, transcripts: Transcripts) -> None:
    assert transcripts.write("a", WORDS, {}, StoredDocument(None))
    lease = app.transcripts.get_blob_client("a.json").acquire_lease()
    with pytest.raises(HttpResponseError) as refused:
        transcripts.write("a", WORDS, {"vtt": "new"}, transcripts.find("a"))
    assert code_of(refused.value) == "LeaseIdMissing"
    assert app.documents() == ["a.json"], "no captions next to a document that they do not belong to"
    lease.release()
    assert transcripts.write("a", WORDS, {"vtt": "new"}, transcripts.find("a"))
    assert app.documents() == ["a.json", "a.vtt"]


def test_older_captions_with_snapshots_are_refused_and_removed_after_them(app: App, transcripts: Transcripts) -> None:
    assert transcripts.write("a", WORDS, {"vtt": "old"}, StoredDocument(None))
    captions = app.transcripts.get_blob_client("a.vtt")
    captions.create_snapshot()
    stored = transcripts.with_captions(transcripts.find("a"), "a")
    with pytest.raises(HttpResponseError) as refused:
        transcripts.write("a", WORDS, {}, stored)
    assert code_of(refused.value) == "SnapshotsPresent"
    captions.delete_blob(delete_snapshots="only")
    assert transcripts.write("a", WORDS, {}, stored)
    assert app.documents() == ["a.json"]


def test_an_app_without_the_permission_to_write_learns_that(app: App) -> None:
    permission = ContainerSasPermissions(read=True, list=True)
    settings = StorageSettings.read(app.environ | {"AudioStorage": limited(app, app.transcripts, permission)})
    with pytest.raises(HttpResponseError) as refused:
        Transcripts(connect(settings), settings).write("a", WORDS, {}, StoredDocument(None))
    assert code_of(refused.value) == "AuthorizationPermissionMismatch"


def test_a_transcript_container_that_is_being_deleted_is_no_lost_race() -> None:
    with refusing_storage({"PUT": (404, "ContainerNotFound"), CREATION: (409, "ContainerBeingDeleted")}) as url:
        settings = StorageSettings.read(app_settings(AudioStorage=shared_key(url)))
        with pytest.raises(HttpResponseError) as refused:
            Transcripts(connect(settings), settings).write("a", WORDS, {}, StoredDocument(None))
    assert code_of(refused.value) == "ContainerBeingDeleted"


def test_losing_the_race_for_the_document_every_time_does_not_start_the_transcription_again(
    app: App, transcripts: Transcripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.upload("a.wav", RECORDING)
    uploads = Uploads(app.service, StorageSettings.read(app.environ))
    write = transcripts.write
    lost: list[bool] = []

    def overtaken(*args: Any) -> bool:
        app.transcripts.upload_blob("a.wav.json", b"{}", overwrite=True)
        lost.append(write(*args))
        return lost[-1]

    monkeypatch.setattr(transcripts, "write", overtaken)
    with pytest.raises(StorageFailed, match="10 times in a row"):
        transcripts.publish(uploads, uploads.find("a.wav"), WORDS, {}, StoredDocument(None), lambda _: False)
    assert lost == [False] * MAX_WRITES
