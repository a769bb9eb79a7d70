"""Recordings of known words, transcribed by the real thing: cut, sent over HTTP, answered by an endpoint that knows the
truth and stops at pauses, sent again, joined. Only storage and decoding are left out.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO

from local.speech import Received, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.settings import SPEECH_KEY, app_settings
from tests.support.speech_corpus import Recording
from tests.support.truth import Recognizer
from tests.support.words import spoken
from transcription.audio.recording import Recording as Opened
from transcription.audio.recording import open_recording
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.transcriber import Transcriber
from transcription.transcript.model import Phrase, Transcript, Usage


@dataclass
class Outcome:
    transcript: Transcript
    usage: Usage
    received: list[Received]

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        return self.transcript.phrases

    @property
    def words(self) -> list[str]:
        return spoken(" ".join(phrase.text for phrase in self.phrases))

    @property
    def requests(self) -> int:
        return len(self.received)


@dataclass
class Pcm:
    """A recording that needs no decoding."""

    pcm: bytes
    format: str = "wav / pcm_s16le, 16000 Hz, 1 channel"
    duration: float | None = None
    damage: str | None = None
    lost: tuple[tuple[float, float], ...] = ()
    closed: bool = field(default=False)

    def blocks(self) -> Iterator[bytes]:
        yield from blocks(self.pcm)

    def close(self) -> None:
        self.closed = True


def blocks(pcm: bytes, size: int = 65_536) -> Iterator[bytes]:
    for first in range(0, len(pcm), size):
        yield pcm[first : first + size]


def transcribe(recording: Recording, pause: float = 1.0, *, word_times: bool = True, **settings: str) -> Outcome:
    """`pause`: the one at which the service stops. Without `word_times` an answer has nothing but text."""
    if not word_times:
        settings["SPEECH_FORMAT"] = "simple"
    with SpeechEndpoint(Recognizer([recording]), key=SPEECH_KEY, pause_seconds=pause) as endpoint:
        usage = Usage()
        transcript = _transcribe(Pcm(recording.pcm), endpoint, usage, settings)
    return Outcome(transcript, usage, endpoint.received)


def transcribe_file(file: BinaryIO, endpoint: SpeechEndpoint) -> Transcript:
    """A file of any format, decoded."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    with closing(open_recording(file, size)) as opened:
        return _transcribe(opened, endpoint, Usage(), {})


def _transcribe(recording: Opened, endpoint: SpeechEndpoint, usage: Usage, settings: Mapping[str, str]) -> Transcript:
    clock = FakeClock()
    configured = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint.url, **settings))
    transcriber = Transcriber(configured, SpeechClient(configured.speech, clock))
    return transcriber.transcribe(recording, RecognitionOptions("en-US", "masked"), usage, Budget(clock, 600, "a.wav"))
