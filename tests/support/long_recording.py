"""A recording of any length that is made while it is read, for tests of memory. It holds no more than a minute."""

from collections.abc import Iterator
from pathlib import Path

from local.speech.process import speech_process
from tests.support.clock import FakeClock
from tests.support.recordings import DECODERS
from tests.support.settings import SPEECH_KEY, app_settings
from tests.support.transcribing import Memory
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO
from transcription.transcriber import Transcriber
from transcription.transcript.model import Transcript, Usage

BLOCK_BYTES = 65_536


class RepeatedMinute:
    """A Recording that repeats one minute of speech. The minute comes from a file, since making it takes memory."""

    format = "wav / pcm_s16le, 16000 Hz, 1 channel"
    damage: str | None = None
    gaps: tuple[tuple[float, float], ...] = ()

    def __init__(self, minute: Path, minutes: float) -> None:
        self.duration: float | None = 60 * minutes
        self._minute = minute.read_bytes()

    def blocks(self) -> Iterator[bytes]:
        for _ in range(round((self.duration or 0) / 60)):
            for start in range(0, len(self._minute), BLOCK_BYTES):
                yield self._minute[start : start + BLOCK_BYTES]

    def exceeds(self, seconds: float) -> bool:
        return (self.duration or 0.0) > seconds

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def transcribed(minute: Path, minutes: float) -> Transcript:
    """Transcribe the repeated minute. The Speech service runs in another process, so its memory does not count."""
    with speech_process(SPEECH_KEY) as service:
        settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=service.url, AZURE_SPEECH_KEY=SPEECH_KEY))
        clock = FakeClock()
        transcriber = Transcriber(settings, SpeechClient(settings.speech, clock), DECODERS)
        recording = RepeatedMinute(minute, minutes)
        options = RecognitionOptions("en-US", "masked")
        requester = Requester(LONG_AGO, Budget(clock, 3000, "a.wav"))
        transcript = transcriber.transcribe(recording, options, Usage(), requester, Memory(), lambda: None)
    assert transcript.status == "Succeeded"
    return transcript
