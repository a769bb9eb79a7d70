"""One upload becomes one document, with Azurite and a local Speech endpoint."""

import importlib.util
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.storage.blob import BlobServiceClient

from local.speech import Fault, Received
from tests.support.app import App
from tests.support.recordings import encode_as
from tests.support.settings import SPEECH_KEY
from tests.support.sound import chunk, murmur, wav
from transcription import job
from transcription.audio.remote import RemoteRecording
from transcription.errors import UploadReplaced
from transcription.storage.transcripts import Transcripts
from transcription.storage.uploads import Uploads

RECORDING = wav(murmur(2.0))


def sent(request: Received) -> bytes:
    """Return the samples of a request, without the header."""
    return request.audio[44:]


def test_an_upload_becomes_one_document(app: App) -> None:
    etag = app.upload("meeting.wav", RECORDING)
    app.run("meeting.wav")
    document = app.document("meeting.wav")
    assert app.documents() == ["meeting.wav.json"]
    assert (document["status"], document["text"], document["language"]) == ("Succeeded", "Hello world.", "en-US")
    assert (document["durationSeconds"], document["gaps"]) == (2.0, [])
    assert document["source"] == {
        "container": app.audio.container_name,
        "name": "meeting.wav",
        "etag": etag,
        "sizeBytes": len(RECORDING),
        "format": "wav / pcm_s16le, 16000 Hz, 1 channel",
    }
    assert document["recognition"]["requests"] == 1
    assert document["recognition"]["audioSecondsSent"] == 2.0
    assert document["recognition"]["endpoint"] == app.endpoint.url
    assert document["recognition"]["connectionIds"] == [app.endpoint.received[0].query["X-ConnectionId"]]
    assert document["createdAt"] == "2026-11-23T10:00:00Z"
    assert document["phrases"][0]["words"][1] == {"word": "world", "offsetSeconds": 1.0, "durationSeconds": 0.9}


def test_the_document_blob_has_its_content_type_status_and_source_etag(app: App) -> None:
    etag = app.upload("a.wav", RECORDING)
    app.run("a.wav")
    properties = app.transcripts.get_blob_client("a.wav.json").get_blob_properties()
    assert properties.content_settings.content_type == "application/json; charset=utf-8"
    assert properties.metadata == {"status": "Succeeded", "source_etag": etag, "try_again": "false"}


@pytest.mark.parametrize(
    "oddity",
    [
        {"before": chunk(b"LIST", b"INFOISFTLavf"), "after": chunk(b"id3 ", b"x" * 99)},
        {"before": chunk(b"bext", b"x" * 601)},
        {"extensible": True},
        {"claimed": 0},
        {"claimed": 0xFFFFFFFF},
        {"claimed": 0x7FFFFFFF},
    ],
    ids=str,
)
def test_the_samples_are_sent_as_they_are_whatever_the_header_says(app: App, oddity: dict[str, object]) -> None:
    app.upload("odd.wav", wav(murmur(2.0), **oddity))  # type: ignore[arg-type]
    app.run("odd.wav")
    assert app.document("odd.wav")["status"] == "Succeeded"
    assert sent(app.endpoint.received[0]) == murmur(2.0)


def test_a_large_upload_is_read_in_several_blocks(app: App) -> None:
    """The audio begins beyond the first block, after metadata the size of a picture."""
    app.upload("big.wav", wav(murmur(2.0), before=chunk(b"LIST", b"x" * (9 << 20))))
    app.run("big.wav")
    assert sent(app.endpoint.received[0]) == murmur(2.0)


def test_a_recording_that_was_cut_off_keeps_its_words_and_has_a_gap(app: App) -> None:
    app.upload("cut.wav", wav(murmur(2.0), claimed=4 * 64_000))
    app.run("cut.wav")
    document = app.document("cut.wav")
    assert (document["status"], document["text"]) == ("Partial", "Hello world.")
    assert document["gaps"] == [{"offsetSeconds": 2.0, "durationSeconds": 6.0, "reason": "DamagedAudio"}]


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "EmptyUpload", "no bytes"),
        (b"not audio at all, but a text file", "UnsupportedAudio", "not a recording in a supported format"),
        (RECORDING[:20], "UnsupportedAudio", "its beginning is damaged"),
        (b"RIFF\0\0\0\0WAVE", "UnsupportedAudio", "its beginning is damaged"),
        (wav(murmur(1.0), tag=0x55AA), "UnsupportedAudio", "Upload"),
    ],
)
def test_an_unsupported_upload_fails_and_says_why(app: App, content: bytes, code: str, says: str) -> None:
    app.upload("x.wav", content)
    app.run("x.wav")
    document = app.document("x.wav")
    assert (document["status"], document["error"]["code"], document["error"]["tryAgain"]) == ("Failed", code, False)
    assert says.casefold() in document["error"]["message"].casefold()
    assert app.requests == 0


def test_an_upload_over_the_limit_fails_as_too_large(app: App) -> None:
    app.upload("x.wav", RECORDING * 20)
    app.run("x.wav", MAX_AUDIO_MEGABYTES="1")
    assert app.document("x.wav")["error"]["code"] == "TooLarge"
    assert "1.2 MB. The limit is 1.0 MB" in app.document("x.wav")["error"]["message"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ("NoMatch", "Failed", "NothingRecognized"),
        ("InitialSilenceTimeout", "NoSpeech", None),
        ("BabbleTimeout", "NoSpeech", None),
        ("Success", "NoSpeech", None),
    ],
)
def test_a_document_without_words_says_whether_there_was_speech(
    app: App, answer: str, status: str, code: str | None
) -> None:
    nothing = {"RecognitionStatus": answer, "Offset": 0, "Duration": 20_000_000, "DisplayText": ""}
    app.endpoint.faults.append(Fault.document(nothing))
    app.upload("x.wav", RECORDING)
    app.run("x.wav")
    document = app.document("x.wav")
    assert (document["status"], document.get("error", {}).get("code")) == (status, code)
    assert (document["phrases"], document["gaps"], app.requests) == ([], [], 1)


def test_an_empty_recording_is_no_speech_and_sends_no_request(app: App) -> None:
    app.upload("x.wav", wav(b""))
    app.run("x.wav")
    document = app.document("x.wav")
    assert (document["status"], document["durationSeconds"], app.requests) == ("NoSpeech", 0.0, 0)


def test_a_chunk_after_empty_audio_is_not_mistaken_for_audio(app: App) -> None:
    app.upload("x.wav", wav(b"", after=chunk(b"LIST", b"INFOISFTLavf")))
    app.run("x.wav")
    assert (app.document("x.wav")["status"], app.requests) == ("NoSpeech", 0)


def test_folder_markers_and_other_containers_are_ignored(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.upload("folder", b"", hdi_isfolder="true")
    app.run("folder")
    app.job().run(app.transcripts.container_name, "folder")
    assert app.documents() == []
    assert "Ignored an event for container" in caplog.text


def test_a_finished_upload_costs_nothing_again(app: App) -> None:
    app.upload("a.wav", RECORDING)
    for _ in range(3):
        app.run("a.wav")
    assert app.requests == 1


def test_a_new_upload_under_the_same_name_replaces_the_document(app: App) -> None:
    app.upload("a.wav", b"no audio")
    app.run("a.wav")
    etag = app.upload("a.wav", RECORDING)
    app.run("a.wav")
    assert app.document("a.wav")["source"]["etag"] == etag
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_recording_that_fails_is_closed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(RemoteRecording, "close", lambda recording: closed.append(recording.format))
    app.upload("long.m4a", encode_as("m4a"))
    app.run("long.m4a", MAX_AUDIO_MINUTES="0.01")
    assert app.document("long.m4a")["error"]["code"] == "TooLong"
    assert closed


def test_an_upload_replaced_during_transcription_gets_the_new_contents_document(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.endpoint.faults.append(Fault.slow(0.3))
    worker = threading.Thread(target=app.run, args=("a.wav",))
    worker.start()
    while not app.requests:
        threading.Event().wait(0.005)
    etag = app.upload("a.wav", wav(murmur(1.0)))
    worker.join(30)
    assert app.document("a.wav")["source"]["etag"] == etag
    assert app.document("a.wav")["durationSeconds"] == 1.0


def test_an_upload_replaced_during_a_read_gets_the_new_contents_document(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.upload("a.wav", RECORDING)
    read = Uploads.read

    def replaced_first(*args: Any) -> bytes:
        monkeypatch.setattr(Uploads, "read", read)
        app.upload("a.wav", wav(murmur(1.0)))
        return read(*args)

    monkeypatch.setattr(Uploads, "read", replaced_first)
    app.run("a.wav")
    assert app.document("a.wav")["durationSeconds"] == 1.0
    assert app.requests == 1


@pytest.mark.parametrize("first_time", [True, False])
def test_a_worker_on_older_content_does_not_overwrite_the_new_contents_document(
    app: App, monkeypatch: pytest.MonkeyPatch, first_time: bool
) -> None:
    """The upload is replaced, and transcribed by another worker, between the last check and the write."""
    if not first_time:
        app.upload("a.wav", wav(murmur(3.0)))
        app.run("a.wav")
    app.upload("a.wav", RECORDING)
    write, etags = Transcripts.write, []

    def overtaken(*args: Any) -> bool:
        monkeypatch.setattr(Transcripts, "write", write)
        etags.append(app.upload("a.wav", wav(murmur(1.0))))
        app.run("a.wav")
        return write(*args)

    monkeypatch.setattr(Transcripts, "write", overtaken)
    app.run("a.wav")
    assert [app.document("a.wav")["source"]["etag"]] == etags


def test_an_upload_deleted_during_transcription_leaves_nothing(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.endpoint.faults.append(Fault.slow(0.3))
    worker = threading.Thread(target=app.run, args=("a.wav",))
    worker.start()
    while not app.requests:
        threading.Event().wait(0.005)
    app.audio.delete_blob("a.wav")
    worker.join(30)
    assert app.documents() == []


def test_a_missing_upload_is_not_a_failure(app: App) -> None:
    app.run("never-there.wav")
    assert app.documents() == []


def test_an_upload_that_is_replaced_again_and_again_is_left_to_the_next_event(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.upload("a.wav", RECORDING)

    def always_replaced(*args: object) -> bytes:
        raise UploadReplaced("a.wav")

    monkeypatch.setattr(Uploads, "read", always_replaced)
    with pytest.raises(UploadReplaced, match="10 times"):
        app.run("a.wav")


def test_two_workers_on_the_same_upload_leave_one_document(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.endpoint.faults.extend([Fault.slow(0.2), Fault.slow(0.2)])
    workers = [threading.Thread(target=app.run, args=("a.wav",)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert app.documents() == ["a.wav.json"]
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_refused_key_is_reported_as_configuration_and_the_right_key_fixes_it(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "ffffffffffffffffffffffffffffffff"
    app.upload("a.wav", RECORDING)
    app.run("a.wav", AZURE_SPEECH_KEY=wrong)
    error = app.document("a.wav")["error"]
    assert (error["code"], error["tryAgain"], app.requests) == ("Configuration", True, 1)
    assert "AZURE_SPEECH_KEY" in error["message"]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        f"'a.wav': {error['message']}"
    ]
    for secret in (wrong, SPEECH_KEY, app.environ["AudioStorage"].split("AccountKey=")[1].split(";")[0]):
        assert secret not in caplog.text
        assert secret not in json.dumps(error)
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"


def test_answers_from_before_the_key_was_refused_are_kept_until_all_is_transcribed(app: App) -> None:
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 3))
    refused = Fault.status(401)
    app.endpoint.faults.extend([Fault.none(), refused])
    app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    partial = app.document("a.wav")
    assert (partial["status"], partial["error"]["code"], len(partial["phrases"])) == ("Partial", "Configuration", 1)
    app.run("a.wav", AZURE_SPEECH_KEY="f" * 32)
    assert app.document("a.wav")["phrases"] == partial["phrases"], "a failure does not remove the words"
    app.run("a.wav")
    assert (app.document("a.wav")["status"], len(app.document("a.wav")["phrases"])) == ("Succeeded", 3)
    requests = app.requests
    app.run("a.wav")
    assert app.requests == requests


def test_a_try_that_was_paid_for_is_logged_even_if_its_document_is_not_written(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 2))
    for answers in (1, 0):
        app.endpoint.faults.extend([*[Fault.none()] * answers, Fault.status(401)])
        app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1")
    lines = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert [(line["status"], line["requests"]) for line in lines] == [("Partial", 2), ("Failed", 1)]
    assert app.document("a.wav")["status"] == "Partial"


def test_a_try_with_fewer_words_does_not_replace_the_words_of_an_earlier_one(app: App) -> None:
    """It is too short to keep its answers, so each try starts over."""
    app.upload("a.wav", wav((murmur(3.0) + bytes(32_000 * 2)) * 2))
    phrases = []
    for answers in (0, 1, 0):
        app.endpoint.faults.extend([*[Fault.none()] * answers, Fault.status(401)])
        app.run("a.wav", SPEECH_MAX_CONCURRENT_REQUESTS="1", TRANSCRIPT_FORMATS="json,txt")
        phrases.append(len(app.document("a.wav")["phrases"]))
    assert phrases == [0, 1, 1]
    assert app.transcripts.download_blob("a.wav.txt").readall().count(b"Hello") == 1


def test_gaps_that_no_try_can_fill_are_not_tried_again(app: App) -> None:
    app.upload("cut.wav", wav(murmur(2.0), claimed=4 * 64_000))
    for _ in range(2):
        app.run("cut.wav")
    assert (app.document("cut.wav")["status"], app.requests) == ("Partial", 1)


def test_wrong_settings_are_reported_as_configuration_until_they_are_fixed(app: App) -> None:
    app.upload("a.wav", RECORDING)
    app.run("a.wav", AZURE_SPEECH_KEY=None, SPEECH_PROFANITY="nice")
    error = app.document("a.wav")["error"]
    assert (error["code"], error["tryAgain"], app.requests) == ("Configuration", True, 0)
    assert "AZURE_SPEECH_KEY is missing" in error["message"]
    assert "SPEECH_PROFANITY is 'nice'" in error["message"]
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"


def test_a_missing_ca_bundle_is_reported_as_configuration(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    app.upload("a.wav", RECORDING)
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "Configuration"


def test_a_document_that_storage_refused_is_written_again_without_another_request(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app.upload("a.wav", RECORDING)
    write, failures = Transcripts.write, [ServiceResponseError("cut"), HttpResponseError("garbage")]

    def failing(*args: Any) -> bool:
        if failures:
            raise failures.pop()
        return write(*args)

    monkeypatch.setattr(Transcripts, "write", failing)
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"
    assert (app.requests, app.clock.slept) == (1, [2.0, 10.0])
    assert "storage failed (ServiceResponseError)" in caplog.text


def test_an_outage_within_the_budget_is_waited_out(app: App) -> None:
    app.endpoint.faults.extend([Fault.status(500)] * 7)
    app.upload("a.wav", RECORDING)
    app.run("a.wav")
    document = app.document("a.wav")
    assert (document["status"], document["recognition"]["requests"]) == ("Succeeded", 8)
    assert (document["recognition"]["retries"], document["recognition"]["audioSecondsSent"]) == (7, 2.0)
    assert sum(app.clock.slept) > 60


def test_half_a_surrogate_pair_in_an_answer_does_not_prevent_the_document(app: App) -> None:
    answer = {"RecognitionStatus": "Success", "DisplayText": "Hello \ud83d.", "Offset": 0, "Duration": 20_000_000}
    app.endpoint.faults.append(Fault.status(200, json.dumps(answer).encode()))
    app.upload("a.wav", RECORDING)
    app.run("a.wav", TRANSCRIPT_FORMATS="json,vtt")
    assert app.document("a.wav")["text"] == "Hello ?."


def test_a_missing_transcript_container_is_created(app: App) -> None:
    app.environ["TRANSCRIPT_CONTAINER"] += "-new"
    app.upload("a.wav", RECORDING)
    app.run("a.wav")
    app.transcripts = app.service.get_container_client(app.environ["TRANSCRIPT_CONTAINER"])
    assert app.document("a.wav")["status"] == "Succeeded"


@pytest.mark.parametrize("unreadable", [b"", b"null", b"{", b"[1]", b'{"error": 1}', b"[" * 100_000])
def test_an_unreadable_document_is_replaced(app: App, unreadable: bytes) -> None:
    etag = app.upload("a.wav", RECORDING)
    app.transcripts.upload_blob("a.wav.json", unreadable, metadata={"status": "Failed", "source_etag": etag})
    app.run("a.wav")
    assert app.document("a.wav")["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("name", "metadata", "language"),
    [
        ("a.wav", {}, "en-US"),
        ("fr-FR/a.wav", {}, "fr-FR"),
        ("FR-fr/2026/a.wav", {}, "fr-FR"),
        ("fr-XX/a.wav", {}, "en-US"),
        ("fr-FR", {}, "en-US"),
        ("x/fr-FR/a.wav", {}, "en-US"),
        ("fr-FR/a.wav", {"language": "de-de"}, "de-DE"),
        ("a.wav", {"LANGUAGE": "ja-JP"}, "ja-JP"),
    ],
)
def test_the_language_comes_from_the_metadata_the_folder_or_the_default_in_that_order(
    app: App, name: str, metadata: dict[str, str], language: str
) -> None:
    app.upload(name, RECORDING, **metadata)
    app.run(name)
    assert app.document(name)["language"] == language
    assert app.endpoint.received[0].query["language"] == language


def test_an_unknown_language_is_refused(app: App) -> None:
    app.upload("a.wav", RECORDING, language="klingon")
    app.run("a.wav")
    assert app.document("a.wav")["error"]["code"] == "UnknownLanguage"
    assert "klingon" in app.document("a.wav")["error"]["message"]


def test_the_profanity_option_comes_from_the_metadata_or_else_the_setting(app: App) -> None:
    app.upload("a.wav", RECORDING, Profanity="Raw")
    app.upload("b.wav", RECORDING)
    app.upload("c.wav", RECORDING, profanity="none")
    for name in ("a.wav", "b.wav", "c.wav"):
        app.run(name, SPEECH_PROFANITY="removed")
    assert [request.query["profanity"] for request in app.endpoint.received] == ["raw", "removed"]
    assert app.document("c.wav")["error"]["code"] == "InvalidOption"


def test_a_second_job_in_the_process_opens_no_new_connection_to_the_service(app: App) -> None:
    the_job = app.job()
    for name in ("a.wav", "b.wav"):
        app.upload(name, RECORDING)
        the_job.run(app.audio.container_name, name)
    assert (app.requests, app.endpoint.connections) == (2, 1)


def fresh_copy(module: ModuleType) -> ModuleType:
    """Return the module as a new process has it."""
    spec = importlib.util.spec_from_file_location(module.__name__, str(module.__file__))
    assert spec
    assert spec.loader
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


def test_all_invocations_of_a_process_share_one_storage_client(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connected = BlobServiceClient.from_connection_string, []

    def counted(*arguments: Any, **options: Any) -> BlobServiceClient:
        connected.append(connect(*arguments, **options))
        return connected[-1]

    monkeypatch.setattr(BlobServiceClient, "from_connection_string", counted)
    for name, value in app.environ.items():
        monkeypatch.setenv(name, value)
    process = fresh_copy(job)
    names = [f"{number}.wav" for number in range(4)]
    for name in names:
        app.upload(name, RECORDING)
    with ThreadPoolExecutor(len(names)) as invocations:
        list(invocations.map(lambda name: process.for_this_process().run(app.audio.container_name, name), names))
    assert len(app.documents()) == len(names)
    assert len(connected) == 1


def test_the_operator_sees_one_line_of_json_per_recording(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    app.endpoint.faults.append(Fault.status(503, headers={"Retry-After": "3"}))
    app.upload("a.wav", RECORDING)
    app.run("a.wav")
    (line,) = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    assert line == {
        "event": "transcription",
        "name": "a.wav",
        "status": "Succeeded",
        "language": "en-US",
        "audioSeconds": 2.0,
        "audioSecondsSent": 2.0,
        "requests": 2,
        "retries": 1,
        "limit": 2,
        "seconds": 3.0,
    }
