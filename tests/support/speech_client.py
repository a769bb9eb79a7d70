"""A Speech client for one endpoint, with clips to send."""

from local.speech import SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.settings import app_settings
from tests.support.sound import murmur
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import Encoded, as_wav
from transcription.transcript.model import Usage

CLIP = as_wav(murmur(2.0))
MINUTE = as_wav(murmur(1.0) * 60)


class Caller:
    """Calls the client of one endpoint with the usage, budget and options of one recording."""

    def __init__(self, endpoint: SpeechEndpoint, clock: FakeClock, **changes: str | None) -> None:
        values = {"AZURE_SPEECH_ENDPOINT": endpoint.url, "AZURE_SPEECH_REGION": None, **changes}
        self.client = SpeechClient(Settings.read(app_settings(**values)).speech, clock)
        self.usage = Usage()
        self.budget = Budget(clock, 600, "a.wav")
        self.options = RecognitionOptions("en-US", "masked")

    def __call__(self, audio: Encoded = CLIP) -> Answer:
        return self.client.recognize(audio, self.options, self.usage, self.budget)
