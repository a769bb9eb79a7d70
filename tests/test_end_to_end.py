"""From upload to document through the host and Microsoft's worker code, over TLS, with wrong and right keys."""

import json
import logging
from pathlib import Path

import pytest

from local.speech import Fault, Received, SpeechEndpoint
from tests.support.app import App, document_of, host
from tests.support.settings import SPEECH_KEY
from tests.support.sound import murmur, wav

RECORDING = wav(murmur(2.0))
WRONG_KEY = "00000000000000000000000000000000"


def recognitions(endpoint: SpeechEndpoint) -> list[Received]:
    return [request for request in endpoint.received if "recognition" in request.path]


def test_three_uploads_become_three_documents_and_a_restart_repeats_none(app: App, worker: Path) -> None:
    names = ["a.wav", "fr-FR/b.wav", "c.wav"]
    with host(app, worker):
        etags = {name: app.upload(name, RECORDING) for name in names}
        for name in names:
            assert document_of(app, name, etags[name])["status"] == "Succeeded"
    with host(app, worker):
        last = app.upload("d.wav", RECORDING)
        assert document_of(app, "d.wav", last)["status"] == "Succeeded"
    assert len(recognitions(app.endpoint)) == 4
    assert app.documents() == ["a.wav.json", "c.wav.json", "d.wav.json", "fr-FR/b.wav.json"]


def test_a_wrong_key_over_tls_is_reported_once_and_the_right_key_fixes_it(
    tls_app: App, worker: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    etag = tls_app.upload("a.wav", RECORDING)
    with host(tls_app, worker, AZURE_SPEECH_KEY=WRONG_KEY):
        error = document_of(tls_app, "a.wav", etag)["error"]
    assert (error["code"], error["tryAgain"]) == ("Configuration", True)
    assert "AZURE_SPEECH_KEY" in error["message"]
    assert [request.status for request in tls_app.endpoint.received] == [401]
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == [f"'a.wav': {error['message']}"]
    for secret in (WRONG_KEY, SPEECH_KEY):
        assert secret not in caplog.text
        assert secret not in json.dumps(error)

    again = tls_app.upload("a.wav", RECORDING)
    with host(tls_app, worker):
        assert document_of(tls_app, "a.wav", again)["status"] == "Succeeded"


def test_a_process_without_speech_settings_still_handles_uploads(app: App, worker: Path) -> None:
    with host(app, worker, AZURE_SPEECH_KEY=""):
        etag = app.upload("a.wav", RECORDING)
        error = document_of(app, "a.wav", etag)["error"]
    assert error["code"] == "Configuration"
    assert "AZURE_SPEECH_KEY is missing" in error["message"]


def test_a_recording_that_outlives_its_invocation_is_continued_from_the_queue(app: App, worker: Path) -> None:
    """Six clips of a second each, one at a time, and three seconds for each invocation."""
    app.endpoint.faults.extend([Fault.slow(1.0)] * 20)
    etag = app.upload("a.wav", wav((murmur(3.0) + bytes(2 * 32_000)) * 6))
    with host(app, worker, MAX_PROCESSING_MINUTES="0.05", SPEECH_MAX_CONCURRENT_REQUESTS="1"):
        document = document_of(app, "a.wav", etag)
    assert (document["status"], len(document["phrases"])) == ("Succeeded", 6)
    answered = document["recognition"]["requests"] - document["recognition"]["retries"]
    assert answered == 6, "no clip was answered twice"
