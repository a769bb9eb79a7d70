"""The JSON document: its keys, and which of them it leaves out."""

import json
from datetime import UTC, datetime, timedelta, timezone

from tests.support.app import check_document
from transcription.errors import Exhausted, TooLong
from transcription.transcript.document import document, failure, log_line, missing_seconds
from transcription.transcript.model import Alternative, Gap, Phrase, Source, Transcript, Usage, Word

CREATED = datetime(2026, 11, 23, 10, tzinfo=UTC)
SOURCE = Source("audio", "fr-FR/a.wav", "0x8D0", 1234, "wav / pcm_s16le, 16000 Hz, 1 channel")


def usage() -> Usage:
    used = Usage("https://westeurope.stt.speech.microsoft.com")
    for number in range(2):
        used.sent(f"{number:032x}")
    used.answered(1.5)
    return used


def test_a_transcript_has_every_key_that_applies() -> None:
    phrase = Phrase(
        0.1,
        1.23456,
        "Hello world.",
        confidence=0.9,
        lexical="hello world",
        itn="hello world",
        masked_itn="hello world",
        alternatives=(Alternative("Yellow world.", 0.4), Alternative("Hello word.")),
        words=(Word("hello", 0.1, 0.5), Word("world", 0.6, 0.7)),
    )
    content = document(Transcript("en-US", 2.0004, (phrase,)), SOURCE, usage(), CREATED)
    check_document(content)
    assert content == {
        "status": "Succeeded",
        "text": "Hello world.",
        "language": "en-US",
        "durationSeconds": 2.0,
        "phrases": [
            {
                "offsetSeconds": 0.1,
                "durationSeconds": 1.235,
                "text": "Hello world.",
                "confidence": 0.9,
                "lexical": "hello world",
                "itn": "hello world",
                "maskedItn": "hello world",
                "alternatives": [{"text": "Yellow world.", "confidence": 0.4}, {"text": "Hello word."}],
                "words": [
                    {"word": "hello", "offsetSeconds": 0.1, "durationSeconds": 0.5},
                    {"word": "world", "offsetSeconds": 0.6, "durationSeconds": 0.7},
                ],
            }
        ],
        "gaps": [],
        "source": {
            "container": "audio",
            "name": "fr-FR/a.wav",
            "etag": "0x8D0",
            "sizeBytes": 1234,
            "format": "wav / pcm_s16le, 16000 Hz, 1 channel",
        },
        "recognition": {
            "requests": 2,
            "retries": 1,
            "audioSecondsSent": 1.5,
            "connectionIds": ["0" * 32, "0" * 31 + "1"],
            "endpoint": "https://westeurope.stt.speech.microsoft.com",
        },
        "createdAt": "2026-11-23T10:00:00Z",
    }


def test_phrases_are_joined_as_the_language_is_written() -> None:
    phrases = (Phrase(0.0, 1.0, "A."), Phrase(1.0, 1.0, "B."))
    texts = [document(Transcript(to, 2.0, phrases), SOURCE, Usage(), CREATED)["text"] for to in ("fr-FR", "ja-JP")]
    assert texts == ["A. B.", "A.B."]


def test_a_partial_transcript_has_its_gaps_and_the_error_that_may_pass() -> None:
    gaps = (Gap(1.0, 2.0, "Exhausted"), Gap(5.0, 0.25, "NoMatch"))
    transcript = Transcript("en-US", 9.0, (Phrase(0.0, 1.0, "Hello."),), gaps, Exhausted("No time left."))
    content = document(transcript, SOURCE, Usage(), CREATED)
    check_document(content)
    assert content["status"] == "Partial"
    assert content["error"] == {"code": "Exhausted", "message": "No time left.", "tryAgain": True}
    assert content["gaps"][0] == {"offsetSeconds": 1.0, "durationSeconds": 2.0, "reason": "Exhausted"}
    assert missing_seconds(content) == 2.25


def test_a_failure_without_a_request_has_no_recognition() -> None:
    content = failure(TooLong("Upload it in parts."), SOURCE, Usage(), CREATED)
    check_document(content)
    assert (content["status"], content["text"], content["phrases"]) == ("Failed", "", [])
    assert content["error"] == {"code": "TooLong", "message": "Upload it in parts.", "tryAgain": False}
    assert "recognition" not in content
    assert failure(Exhausted("No time left."), SOURCE, usage(), CREATED)["recognition"]["requests"] == 2


def test_a_document_is_dated_in_utc() -> None:
    local = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))
    assert failure(TooLong("x"), SOURCE, Usage(), local)["createdAt"] == "2026-11-23T10:00:00Z"


def test_the_log_line_counts_requests_without_an_answer_as_retries() -> None:
    content = failure(Exhausted("No time left."), SOURCE, usage(), CREATED)
    assert json.loads(log_line(content, usage(), 4.00049)) == {
        "event": "transcription",
        "name": "fr-FR/a.wav",
        "status": "Failed",
        "code": "Exhausted",
        "audioSecondsSent": 3.0,
        "requests": 2,
        "retries": 1,
        "seconds": 4.0,
    }
