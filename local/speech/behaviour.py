"""One table of what the stand-in does where documents leave the service's behaviour open, and where that is known from.

A file that `infra/check_speech.py` saved replaces lines with what was measured at a real resource.
"""

import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENTED, REPORTED, MEASURED = "documented", "reported", "measured"

SHORT_AUDIO = "learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short"
LANGUAGE = "MicrosoftDocs/azure-docs#23489"
AUDIO = "Azure-Samples/cognitive-services-speech-sdk#387, #464"
UNAUTHORIZED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)


class Line(NamedTuple):
    """One line of the table."""

    name: str
    value: Any
    basis: str
    source: str


def _line(default: Any, basis: str, source: str) -> Any:
    return field(default=default, metadata={"basis": basis, "source": source})


def gateway_error(status: int, message: str) -> str:
    """Return an error as the table writes it: the status and the body."""
    return f"{status} {json.dumps({'error': {'code': str(status), 'message': message}})}"


@dataclass(frozen=True)
class Behaviour:
    """The lines of the table. Errors are written as a status and a body.

    `measured` has the names of the lines that were measured, and `measured_at` says when.
    """

    pause_seconds: float = _line(1.0, REPORTED, "users: a pause of about a second ends recognition")
    initial_silence_seconds: float = _line(5.0, REPORTED, "MicrosoftDocs/azure-docs#17507: Offset 50000000")
    silence: str = _line("InitialSilenceTimeout", DOCUMENTED, SHORT_AUDIO)
    wordless: str = _line("NoMatch", DOCUMENTED, SHORT_AUDIO)  # BabbleTimeout takes the sound for noise
    max_seconds: float = _line(60.0, DOCUMENTED, SHORT_AUDIO)
    too_long: str = _line("refused", DOCUMENTED, f"the limit: {SHORT_AUDIO}; one stored answer drops the rest")
    language_error: str = _line('400 {"Message":"Invalid CID or language"}', REPORTED, LANGUAGE)
    model_error: str = _line('400 {"Message":"Invalid CID or language"}', REPORTED, LANGUAGE)
    audio_error: str = _line('400 {"Message":"Unsupported audio format"}', REPORTED, AUDIO)
    key_error: str = _line(gateway_error(401, UNAUTHORIZED), DOCUMENTED, f"the status: {SHORT_AUDIO}")
    other_audio: str = _line("refused", DOCUMENTED, SHORT_AUDIO)  # 8 kHz, mp3; or understood
    ogg: str = _line("understood", DOCUMENTED, SHORT_AUDIO)  # or refused
    simple: str = _line("obeyed", DOCUMENTED, SHORT_AUDIO)  # or ignored
    detailed: str = _line("obeyed", DOCUMENTED, SHORT_AUDIO)  # or ignored
    word_times: str = _line("given", REPORTED, "users: wordLevelTimestamps=true")  # or ignored, or refused
    ticks: str = _line("numbers", DOCUMENTED, SHORT_AUDIO)  # or strings
    profanity: str = _line("accepted", DOCUMENTED, SHORT_AUDIO)  # or refused
    assessment: str = _line("scored", DOCUMENTED, SHORT_AUDIO)  # or ignored
    segmentation: str = _line("ignored", REPORTED, "Azure-Samples/cognitive-services-speech-sdk#1844")  # or obeyed
    measured: frozenset[str] = frozenset()
    measured_at: str = ""

    @classmethod
    def saved(cls, path: Path) -> "Behaviour":
        """Return the table with the lines that a saved check has measured. Unknown names are ignored."""
        content = json.loads(path.read_text())
        names = {line.name for line in ASSUMED.table()}
        measured = {name: value for name, value in content["measured"].items() if name in names}
        return cls(**measured, measured=frozenset(measured), measured_at=content["checkedAt"])

    def table(self) -> list[Line]:
        """Return all lines, each with its basis."""
        return [
            Line(line.name, getattr(self, line.name), MEASURED, self.measured_at)
            if line.name in self.measured
            else Line(line.name, getattr(self, line.name), line.metadata["basis"], line.metadata["source"])
            for line in fields(self)
            if line.metadata
        ]

    def error(self, kind: str) -> tuple[int, bytes]:
        """Return the status and the body of the error about the `language`, `model`, `audio` or `key`."""
        status, _, body = str(getattr(self, f"{kind}_error")).partition(" ")
        return int(status), body.encode()


ASSUMED = Behaviour()
SDK_SEGMENTATION = replace(ASSUMED, pause_seconds=0.5)  # the Speech SDK documents 500 ms as a typical default
