"""Transcription of recordings by the real code, over HTTP. Storage is left out, and so is decoding if PCM is enough.

`transcribe` is for recordings whose words are known: its endpoint knows them too, and stops at pauses. `Service` is for
answers that a test dictates.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from local.speech import Behaviour, Fault, Received, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.recordings import DECODERS
from tests.support.settings import SPEECH_KEY, app_settings
from tests.support.sound import murmur
from tests.support.speech_corpus import Recording
from tests.support.truth import Recognizer
from tests.support.words import spoken
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.audio.recording import Recording as Opened
from transcription.audio.recording import open_recording
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO
from transcription.transcriber import Transcriber
from transcription.transcript.answered import Answered
from transcription.transcript.model import Phrase, Transcript, Usage

WAV_HEADER_BYTES = 44
PAUSE = bytes(2 * BYTES_PER_SECOND)
SPEECH = murmur(5.0)
FOUR_CLIPS = PAUSE + (SPEECH + PAUSE) * 4


@dataclass
class Outcome:
    """A transcript, and the requests that the endpoint received for it."""

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
    gaps: tuple[tuple[float, float], ...] = ()
    closed: bool = field(default=False)

    def blocks(self) -> Iterator[bytes]:
        yield from blocks(self.pcm)

    def exceeds(self, seconds: float) -> bool:
        return (self.duration or 0.0) > seconds and len(self.pcm) > seconds * BYTES_PER_SECOND

    def close(self) -> None:
        self.closed = True


def blocks(pcm: bytes, size: int = 65_536) -> Iterator[bytes]:
    for first in range(0, len(pcm), size):
        yield pcm[first : first + size]


def sent_seconds(received: Sequence[Received]) -> list[float]:
    """Return the seconds of audio in each request, sent as WAV."""
    return [(len(request.audio) - WAV_HEADER_BYTES) / BYTES_PER_SECOND for request in received]


class Service:
    """A transcriber and its endpoint."""

    def __init__(self, endpoint: SpeechEndpoint, clock: FakeClock) -> None:
        self.endpoint = endpoint
        self.clock = clock

    def transcribe(
        self,
        pcm: bytes,
        budget: float = 600,
        duration: float | None = None,
        known: "Memory | None" = None,
        **changes: str,
    ) -> Transcript:
        recording = Pcm(pcm, duration=duration)
        return _transcribe(recording, self.endpoint, Usage(), changes, Budget(self.clock, budget, "a.wav"), known)

    def answer_next(self, status: str, seconds: float, **more: Any) -> None:
        """Answer the next request with `status`. The answer covers `seconds`."""
        ticks = round(seconds * 1e7)
        self.endpoint.faults.append(
            Fault.document({"RecognitionStatus": status, "Offset": 0, "Duration": ticks, **more})
        )

    @property
    def sent_seconds(self) -> list[float]:
        return sent_seconds(self.endpoint.received)


def transcribe(recording: Recording, pause: float = 1.0, *, word_times: bool = True, **settings: str) -> Outcome:
    """Transcribe a recording of known words with a service that stops at pauses of `pause` seconds.

    Without `word_times` an answer has only text.
    """
    if not word_times:
        settings["SPEECH_FORMAT"] = "simple"
    with SpeechEndpoint(Recognizer([recording]), key=SPEECH_KEY, behaviour=Behaviour(pause_seconds=pause)) as endpoint:
        usage = Usage()
        transcript = _transcribe(Pcm(recording.pcm), endpoint, usage, settings)
    return Outcome(transcript, usage, endpoint.received)


def transcribe_file(file: BinaryIO, endpoint: SpeechEndpoint, **changes: str) -> Transcript:
    """Decode and transcribe a file of any format."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    with closing(open_recording(file, size, DECODERS, lambda: None)) as opened:
        return _transcribe(opened, endpoint, Usage(), changes)


def _transcribe(
    recording: Opened,
    endpoint: SpeechEndpoint,
    usage: Usage,
    changes: Mapping[str, str],
    budget: Budget | None = None,
    known: "Memory | None" = None,
) -> Transcript:
    budget = budget or Budget(FakeClock(), 600, "a.wav")
    settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint.url, **changes))
    transcriber = Transcriber(settings, SpeechClient(settings.speech, budget.clock), DECODERS)
    options, requester = RecognitionOptions("en-US", "masked"), Requester(LONG_AGO, budget)
    return transcriber.transcribe(recording, options, usage, requester, known or Memory(), lambda: None)


class Memory:
    """Answers that are kept in memory."""

    def __init__(self) -> None:
        self.answers: dict[tuple[int, int, int], Answered] = {}

    def find(self, start: int, end: int, crc: int) -> Answered | None:
        return self.answers.get((start, end, crc))

    def add(self, answered: Answered) -> None:
        self.answers[answered.start, answered.end, answered.crc] = answered
