"""Turns a transcript, or an error, into the JSON document.

`transcript.schema.json` next to this file describes the document for those who read it. The tests validate every
document against it.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from transcription import locales
from transcription.errors import TranscriptionError
from transcription.transcript.model import FAILED, Gap, Json, Phrase, Source, Transcript, Usage, Word, rounded


def document(transcript: Transcript, source: Source, usage: Usage, created: datetime) -> Json:
    """Return the document of a recording that was transcribed, fully or partly."""
    separator = locales.word_separator(transcript.language)
    content = {
        "status": transcript.status,
        "text": separator.join(phrase.text for phrase in transcript.phrases),
        "language": transcript.language,
        "durationSeconds": rounded(transcript.duration),
        "phrases": [_phrase(phrase) for phrase in transcript.phrases],
        "gaps": [_gap(gap) for gap in transcript.gaps],
        "error": _error(transcript.error) if transcript.error else None,
        "source": _source(source),
        "recognition": _recognition(usage),
        "createdAt": _timestamp(created),
    }
    return _without_none(content)


def caption_files(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """Return the text of each format that is asked for besides `json`, by its name."""
    if set(formats) == {"json"}:
        return {}
    from transcription.transcript import captions  # takes 8 ms; most apps need no captions

    return captions.files(transcript, formats)


def failure(error: TranscriptionError, source: Source, usage: Usage, created: datetime) -> Json:
    """Return the document of a recording without a transcript. It says what is wrong and what to do."""
    content: Json = {
        "status": FAILED,
        "text": "",
        "phrases": [],
        "gaps": [],
        "error": _error(error),
        "source": _source(source),
        "recognition": _recognition(usage) if usage.requests else None,
        "createdAt": _timestamp(created),
    }
    return _without_none(content)


def log_line(document: Json, usage: Usage, seconds: float) -> str:
    """Return one line of JSON for the log about a recording that took `seconds`.

    The worker forwards only the message of a log record, so everything is in the message.
    """
    line = {
        "event": "transcription",
        "name": document["source"]["name"],
        "status": document["status"],
        "code": document.get("error", {}).get("code"),
        "language": document.get("language"),
        "audioSeconds": document.get("durationSeconds"),
        "audioSecondsSent": rounded(usage.audio_seconds),
        "requests": usage.requests,
        "retries": usage.retries,
        "limit": usage.limit,
        "seconds": rounded(seconds),
    }
    return json.dumps(_without_none(line))


def missing_seconds(document: Json) -> float:
    """Return the total length of a document's gaps."""
    return float(sum(gap["durationSeconds"] for gap in document["gaps"]))


def _error(error: TranscriptionError) -> Json:
    return {"code": error.code, "message": str(error), "tryAgain": error.try_again}


def _phrase(phrase: Phrase) -> Json:
    alternatives = [_without_none({"text": item.text, "confidence": item.confidence}) for item in phrase.alternatives]
    return _without_none(
        {
            "offsetSeconds": rounded(phrase.offset),
            "durationSeconds": rounded(phrase.duration),
            "text": phrase.text,
            "confidence": phrase.confidence,
            "lexical": phrase.lexical,
            "itn": phrase.itn,
            "maskedItn": phrase.masked_itn,
            "alternatives": alternatives or None,
            "words": _words(phrase.words) or None,
            "pronunciation": phrase.pronunciation,
        }
    )


def _gap(gap: Gap) -> Json:
    return {"offsetSeconds": rounded(gap.offset), "durationSeconds": rounded(gap.duration), "reason": gap.reason}


def _words(words: Sequence[Word]) -> list[Json]:
    return [
        {"word": word.text, "offsetSeconds": rounded(word.offset), "durationSeconds": rounded(word.duration)}
        for word in words
    ]


def _source(source: Source) -> Json:
    return _without_none(
        {
            "container": source.container,
            "name": source.name,
            "etag": source.etag,
            "sizeBytes": source.size,
            "format": source.format,
        }
    )


def _recognition(usage: Usage) -> Json:
    return {
        "requests": usage.requests,
        "retries": usage.retries,
        "audioSecondsSent": rounded(usage.audio_seconds),
        "connectionIds": list(usage.connection_ids),
        "endpoint": usage.endpoint,
    }


def _without_none(values: Json) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
