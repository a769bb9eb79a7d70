"""The captions beside a document are that document's, whoever wrote what before and meanwhile."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pysubs2
import pytest

from local.speech import Fault
from tests.support import Stage, murmur, wav
from transcription.names import output_name
from transcription.settings import StorageSettings
from transcription.storage import Outcome, Storage

RECORDING = wav(murmur(2.0))
ALL = "json,vtt,srt,txt"
NOBODY = Fault.document({"RecognitionStatus": "InitialSilenceTimeout", "Offset": 0, "Duration": 0})


@pytest.fixture
def storage(stage: Stage) -> Iterator[Storage]:
    storage = Storage.connect(StorageSettings.read(stage.environ))
    yield storage
    storage.close()


def content(stage: Stage, name: str) -> str:
    return stage.transcripts.download_blob(name).readall().decode()


def answer(text: str) -> Fault:
    """An endpoint that hears `text`."""
    return Fault.document({"RecognitionStatus": "Success", "DisplayText": text, "Offset": 0, "Duration": 19_000_000})


def hooked(monkeypatch: pytest.MonkeyPatch, storage: Any, blob: str, before: Callable[[], object]) -> None:
    """Has something happen once, just before `storage` writes `blob`."""
    put = storage._put

    def interrupted(name: str, *others: Any) -> Any:
        if name == blob:
            monkeypatch.setattr(storage, "_put", put)
            before()
        return put(name, *others)

    monkeypatch.setattr(storage, "_put", interrupted)


def test_captions_lie_beside_the_document_where_they_are_asked_for(stage: Stage) -> None:
    stage.upload("fr-FR/meeting.m4a.wav", RECORDING)
    stage.run("fr-FR/meeting.m4a.wav", TRANSCRIPT_FORMATS=ALL)
    stem = "fr-FR/meeting.m4a.wav"
    assert stage.documents() == [f"{stem}.json", f"{stem}.srt", f"{stem}.txt", f"{stem}.vtt"]
    assert stage.document(stem)["status"] == "Succeeded"
    for kind in ("vtt", "srt"):
        (caption,) = pysubs2.SSAFile.from_string(content(stage, f"{stem}.{kind}"), format_=kind)
        assert (caption.start, caption.end, caption.text) == (100, 1900, "Hello world.")
    assert content(stage, f"{stem}.txt") == "Hello world.\n"


def test_captions_say_what_they_are(stage: Stage) -> None:
    stage.upload("a.wav", RECORDING)
    stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    types = {blob.name: blob.content_settings.content_type for blob in stage.transcripts.list_blobs()}
    assert types == {
        "a.wav.json": "application/json; charset=utf-8",
        "a.wav.vtt": "text/vtt; charset=utf-8",
        "a.wav.srt": "application/x-subrip; charset=utf-8",
        "a.wav.txt": "text/plain; charset=utf-8",
    }


def test_the_document_is_written_last(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[list[str]] = []
    stage.upload("a.wav", RECORDING)
    job = stage.job(TRANSCRIPT_FORMATS=ALL)
    hooked(monkeypatch, job._storage, "a.wav.json", lambda: there.append(stage.documents()))
    job.run(stage.audio.container_name, "a.wav")
    assert there == [["a.wav.srt", "a.wav.txt", "a.wav.vtt"]]


@pytest.mark.parametrize("outcome", ["Failed", "NoSpeech"])
def test_an_outcome_without_a_transcript_has_no_captions_and_removes_older_ones(stage: Stage, outcome: str) -> None:
    stage.upload("a.wav", RECORDING)
    stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    stage.endpoint.faults.append(NOBODY)
    stage.upload("a.wav", b"a text file" if outcome == "Failed" else RECORDING)
    stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    assert stage.document("a.wav")["status"] == outcome
    assert stage.documents() == ["a.wav.json"]


def test_captions_that_are_not_asked_for_any_more_are_removed(stage: Stage) -> None:
    for formats, there in ((ALL, {"json", "srt", "txt", "vtt"}), ("json,txt", {"json", "txt"}), ("json", {"json"})):
        stage.upload("a.wav", RECORDING)
        stage.run("a.wav", TRANSCRIPT_FORMATS=formats)
        assert {name.rpartition(".")[2] for name in stage.documents()} == there


def test_new_captions_replace_older_ones(stage: Stage) -> None:
    for text in ("First.", "Second."):
        stage.upload("a.wav", RECORDING)
        stage.endpoint.faults.append(answer(text))
        stage.run("a.wav", TRANSCRIPT_FORMATS="vtt")
        assert (stage.document("a.wav")["text"], content(stage, "a.wav.vtt").splitlines()[-1]) == (text, text)


def test_without_captions_a_first_upload_is_not_looked_up_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object) -> Outcome:
        raise AssertionError("a request for nothing")

    monkeypatch.setattr(Storage, "with_captions", looked)
    for name, formats in (("a.wav", "json"), ("b.wav", ALL)):
        stage.upload(name, RECORDING)
        stage.run(name, TRANSCRIPT_FORMATS=formats)
        assert stage.document(name)["status"] == "Succeeded"


def test_uploads_that_are_named_like_captions_keep_their_own(stage: Stage) -> None:
    names = ["a", "a.vtt", "a.json", "a.json.vtt", "a.vtt.json", "a.wav", "a.wav.vtt", "a.wav.json.srt"]
    for name in names:
        stage.upload(name, RECORDING)
        stage.endpoint.faults.append(answer(f"I am {name}."))
        stage.run(name, TRANSCRIPT_FORMATS=ALL)
    assert len(stage.documents()) == 4 * len(names)
    stage.upload("a", b"a text file")
    stage.run("a", TRANSCRIPT_FORMATS=ALL)
    assert stage.document("a")["status"] == "Failed"
    assert len(stage.documents()) == 4 * len(names) - 3
    for name in names[1:]:
        assert stage.document(name)["text"] == f"I am {name}."
        assert content(stage, f"{name}.txt") == f"I am {name}.\n"


def test_no_two_outputs_have_one_name() -> None:
    uploads = ["x", "x.vtt", "x.json", "x.vtt.json", "x.", ".vtt", "x..vtt", "folder/x", "folder/x.txt"]
    outputs = [output_name(upload, kind) for upload in uploads for kind in ("json", "vtt", "srt", "txt")]
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("write", ["a.wav.vtt", "a.wav.srt", "a.wav.json"])
@pytest.mark.parametrize("first_time", [True, False])
@pytest.mark.parametrize("new", [RECORDING, b"a text file"], ids=["transcript", "failure"])
def test_a_worker_that_is_late_leaves_nothing_of_the_content_that_was_replaced(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, write: str, first_time: bool, new: bytes
) -> None:
    if not first_time:
        stage.upload("a.wav", wav(murmur(1.0)))
        stage.run("a.wav", TRANSCRIPT_FORMATS="vtt")
    stage.upload("a.wav", RECORDING)
    late = stage.job(TRANSCRIPT_FORMATS=ALL)

    def overtaken() -> None:
        stage.upload("a.wav", new)
        stage.endpoint.faults.append(answer("New."))
        stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)

    hooked(monkeypatch, late._storage, write, overtaken)
    late.run(stage.audio.container_name, "a.wav")
    if new == RECORDING:
        assert stage.document("a.wav")["text"] == "New."
        assert [content(stage, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")] == ["New."] * 3
    else:
        assert stage.document("a.wav")["status"] == "Failed"
        assert stage.documents() == ["a.wav.json"]


@pytest.mark.parametrize("write", ["a.wav.vtt", "a.wav.txt", "a.wav.json"])
def test_two_workers_on_the_same_upload_leave_the_captions_of_the_document(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    stage.upload("a.wav", RECORDING)
    stage.endpoint.faults.extend([answer("One."), answer("Other.")])
    late = stage.job(TRANSCRIPT_FORMATS=ALL)
    hooked(monkeypatch, late._storage, write, lambda: stage.run("a.wav", TRANSCRIPT_FORMATS=ALL))
    late.run(stage.audio.container_name, "a.wav")
    text = stage.document("a.wav")["text"]
    assert [content(stage, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")] == [text] * 3


def test_many_workers_and_replacements_leave_one_contents_document_and_captions(stage: Stage) -> None:
    etag = stage.upload("a.wav", wav(murmur(0.5)))
    workers = []
    for number in range(1, 13):
        stage.endpoint.faults.append(answer(f"Text {number}."))
        workers.append(threading.Thread(target=stage.run, args=("a.wav",), kwargs={"TRANSCRIPT_FORMATS": ALL}))
        workers[-1].start()
        if number % 3 == 0:
            etag = stage.upload("a.wav", wav(murmur(0.5 + number / 10)))
    for worker in workers:
        worker.join(60)
    stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    document = stage.document("a.wav")
    assert document["source"]["etag"] == etag
    texts = {content(stage, f"a.wav.{kind}").splitlines()[-1] for kind in ("vtt", "srt", "txt")}
    assert texts == {document["text"]}


@pytest.mark.parametrize("new", [RECORDING, b"a text file"], ids=["transcript", "failure"])
def test_captions_of_a_worker_that_died_before_its_document_are_put_right(stage: Stage, new: bytes) -> None:
    for kind in ("vtt", "srt"):
        stage.transcripts.upload_blob(f"a.wav.{kind}", b"left behind")
    stage.upload("a.wav", new)
    stage.run("a.wav", TRANSCRIPT_FORMATS="vtt,srt")
    assert stage.document("a.wav")["status"] == ("Succeeded" if new == RECORDING else "Failed")
    if new == RECORDING:
        assert "Hello world." in content(stage, "a.wav.vtt")
        assert "Hello world." in content(stage, "a.wav.srt")
    else:
        assert stage.documents() == ["a.wav.json"]


def test_a_missing_transcript_container_is_made_for_captions_too(stage: Stage) -> None:
    stage.environ["TRANSCRIPT_CONTAINER"] += "-new"
    stage.upload("a.wav", RECORDING)
    stage.upload("b.wav", b"a text file")
    stage.run("b.wav", TRANSCRIPT_FORMATS=ALL)
    stage.run("a.wav", TRANSCRIPT_FORMATS=ALL)
    stage.transcripts = stage.service.get_container_client(stage.environ["TRANSCRIPT_CONTAINER"])
    assert len(stage.documents()) == 5


def test_a_late_writer_of_storage_says_that_it_was_late(stage: Stage, storage: Storage) -> None:
    document = {"status": "Succeeded", "source": {"etag": "0x1"}}
    nothing = Outcome(None)
    assert storage.write("a", document, {"vtt": "one", "txt": "one"}, nothing)
    assert not storage.write("a", document, {"vtt": "two"}, nothing)
    assert not storage.write("a", document, {"srt": "two"}, nothing)
    assert not storage.write("a", document, {}, nothing)
    assert not storage.write("a", document, {}, Outcome(storage.outcome("a").etag, captions={"vtt": "0x2"}))
    assert (stage.documents(), content(stage, "a.vtt")) == (["a.json", "a.txt", "a.vtt"], "one")
    there = storage.with_captions(storage.outcome("a"), "a")
    assert json.loads(content(stage, "a.json")) == document
    assert storage.write("a", document, {"vtt": "two"}, there)
    assert (stage.documents(), content(stage, "a.vtt")) == (["a.json", "a.vtt"], "two")
