"""A Speech client for one endpoint, with clips to send."""

from concurrent.futures import Future

from local.speech import SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.settings import app_settings
from tests.support.sound import murmur
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import Encoded, as_wav
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO
from transcription.transcript.model import Usage

CLIP = as_wav(murmur(2.0))
MINUTE = as_wav(murmur(1.0) * 60)


class Caller:
    """Calls the client of one endpoint with the usage, budget and options of one recording, in its turn."""

    def __init__(self, endpoint: SpeechEndpoint, clock: FakeClock, **changes: str | None) -> None:
        values = {"AZURE_SPEECH_ENDPOINT": endpoint.url, "AZURE_SPEECH_REGION": None, **changes}
        self.client = SpeechClient(Settings.read(app_settings(**values)).speech, clock)
        self.usage = Usage()
        self.budget = Budget(clock, 600, "a.wav")
        self.options = RecognitionOptions("en-US", "masked")

    def __call__(self, audio: Encoded = CLIP) -> Answer:
        """Send one clip, with retries, and return its answer."""
        task = OneRequest(self, audio)
        self.client.dispatcher.submit(task)
        return task.result.result()


class OneRequest:
    """A task with one request."""

    number = 0

    def __init__(self, caller: Caller, audio: Encoded) -> None:
        self.requester = Requester(LONG_AGO, caller.budget)
        self.result: Future[Answer] = Future()
        self._caller = caller
        self._audio = audio

    def send(self) -> bool:
        caller, seconds = self._caller, self.requester.budget.left()
        answer = answers.parse(caller.client.recognize(self._audio, caller.options, caller.usage.sent, seconds))
        caller.usage.answered(self._audio.seconds)
        self.result.set_result(answer)
        return False

    def fail(self, error: BaseException) -> None:
        self.result.set_exception(error)
