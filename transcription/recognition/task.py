"""One clip on its way to the service: its plan, its tries, and the answers that an earlier worker has left."""

import zlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from transcription.clips.clip import Clip
from transcription.errors import (
    AbandonedForGood,
    Exhausted,
    Misconfigured,
    RequestRefused,
    Retryable,
    UnknownLanguage,
)
from transcription.recognition.plan import Plan
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import encoded
from transcription.speech.turns import Requester
from transcription.transcript.answered import Answered
from transcription.transcript.assembly import ClipResult
from transcription.transcript.model import Usage


class KnownAnswers(Protocol):
    """The answers to requests of this recording, from this worker or an earlier one. Thread-safe."""

    def find(self, start: int, end: int, crc: int) -> Answered | None:
        """Return the answer to these samples, if there is one."""

    def add(self, answered: Answered) -> None:
        """Keep an answer."""


@dataclass(frozen=True)
class Sending:
    """All that the clips of one recording need to be sent."""

    speech: SpeechClient
    audio_format: str
    options: RecognitionOptions
    usage: Usage
    requester: Requester
    known: KnownAnswers

    def find(self, clip: Clip) -> Answered | None:
        """Return the answer to this clip, if there is one."""
        return self.known.find(clip.start, clip.end, zlib.crc32(clip.pcm))

    def is_known(self, clip: Clip) -> bool:
        return self.find(clip) is not None


class ClipTask:
    """The requests of one clip. `result` is set once all of them are answered."""

    def __init__(self, sending: Sending, plan: Plan, number: int) -> None:
        """Apply the known answers. If they are all that the clip needs, `result` is set and nothing must be sent."""
        self.requester = sending.requester
        self.number = number
        self.result: Future[ClipResult] = Future()
        self._sending = sending
        self._plan = plan
        self._connection_ids: list[str] = []  # of all tries of the current request
        self._advance(lambda: next(plan))

    def send(self) -> bool:
        """Send the next request. Return True if another one must follow."""
        sending, clip = self._sending, self._clip
        try:
            audio = encoded(clip.pcm, sending.audio_format)
            seconds = sending.requester.budget.left()
            body = sending.speech.recognize(audio, sending.options, self._note_try, seconds)
            answer = answers.parse(body)
        except (Misconfigured, UnknownLanguage) as error:  # every further request would be refused too
            self.requester.stop(error)
            raise
        except RequestRefused as error:
            refusal = error
            return self._advance(lambda: self._plan.throw(refusal))
        crc = zlib.crc32(clip.pcm)
        sending.known.add(Answered(clip.start, clip.end, crc, tuple(self._connection_ids), body))
        sending.usage.answered(clip.seconds)
        return self._advance(lambda: self._plan.send(answer))

    def fail(self, error: BaseException) -> None:
        """End the task. What is missing is a gap if the key was refused, or if this clip fails again and again."""
        if isinstance(error, Exhausted) and self._fails_for_good(error.wait):
            error = AbandonedForGood(str(error))
        if not isinstance(error, AbandonedForGood | Misconfigured):
            self.result.set_exception(error)
        while not self.result.done():
            self._advance(lambda: self._plan.throw(error))

    def _fails_for_good(self, wait: float) -> bool:
        """Tell whether this is the recording's last try, and its requests failed instead of having to wait."""
        requester = self.requester
        told_to_wait = wait >= requester.budget.seconds
        return requester.last_try and requester.failed and not (told_to_wait or self._sending.usage.new_answers)

    def _note_try(self, connection_id: str) -> None:
        self._connection_ids.append(connection_id)
        self._sending.usage.sent(connection_id)

    def _advance(self, step: Callable[[], Clip]) -> bool:
        """Let the plan continue, with known answers as far as they go. Return True if a request must be sent."""
        try:
            self._clip = step()
            while (answer := self._known_answer()) is not None:
                self._clip = self._plan.send(answer)
        except StopIteration as finished:
            self.result.set_result(finished.value)
            return False
        except Exception as error:  # noqa: BLE001  # the recording's thread raises it
            self.result.set_exception(error)
            return False
        self._connection_ids = []
        return True

    def _known_answer(self) -> Answer | None:
        clip, sending = self._clip, self._sending
        answered = sending.find(clip)
        if answered is None:
            return None
        try:
            answer = answers.parse(answered.body)
        except Retryable:  # somebody else wrote it; then the clip is sent
            return None
        sending.usage.repeated(answered.connection_ids, clip.seconds)
        return answer
