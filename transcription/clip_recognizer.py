"""Recognises one clip: sends it, resends what the answer leaves out, and notes the gaps that remain.

The service does not say when it stops early, so every answer is compared with the sound of its clip. Where the service
found nobody speaking, the audio after that is resent too, but only within limits, because it may be hold music.
"""

import threading
from collections import deque
from collections.abc import Iterator

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.clip import Clip, Stretch, clipped, total_length
from transcription.clips.coverage import Coverage, measure_coverage
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, RequestRefused
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import encoded
from transcription.transcript.assembly import ClipResult
from transcription.transcript.model import Usage

NOISE_RESEND_SECONDS = 30.0  # each recording may resend this much audio after noise or silence
NOISE_RESEND_SHARE = 0.03  # of the recording's audio, on top of that
PROBE_SECONDS = 12.0  # of the audio after noise, sent first to find out whether somebody speaks there
MIN_GAP_SECONDS = 0.5  # shorter sound without words is a cough or a door: no speech is lost
NOT_COVERED = "NotCovered"  # a gap's reason: the service answers, but never gets to that stretch


class ClipRecognizer:
    """Recognises the clips of one recording. Safe to use from many threads."""

    def __init__(
        self, speech: SpeechClient, audio_format: str, options: RecognitionOptions, usage: Usage, budget: Budget
    ) -> None:
        self._speech = speech
        self._audio_format = audio_format
        self._options = options
        self._usage = usage
        self._budget = budget
        self._stopped_by: Misconfigured | Exhausted | None = None
        self._noise_resent = 0.0  # seconds
        self._lock = threading.Lock()

    def recognize(self, clip: Clip) -> ClipResult:
        """Send the clip, and resend what the answers leave out, until all possible speech is accounted for."""
        result = ClipResult(clip.start, clip.end, clip.overlap)
        queue = deque([clip])
        while queue:
            part = queue.popleft()
            try:
                answer = self._send(part)
                queue.extendleft(reversed(self._handle_answer(answer, part, result)))
            except (Exhausted, Misconfigured, RequestRefused) as error:
                result.add_gap(part.voiced, error.code)
                result.error = error
        return result

    def assess_pronunciation(self, clip: Clip) -> list[ClipResult]:
        """Send the clip once, whatever the answer covers: an assessment scores the whole text."""
        if not clip.pcm:
            return []
        result, answer = ClipResult(clip.start, clip.end, clip.overlap), self._send(clip)
        if answer.phrase:
            result.phrases.append(answer.phrase)
        elif answer.status == answers.NO_MATCH:
            result.add_gap(clip.voiced, answers.NO_MATCH)
        return [result]

    def _send(self, clip: Clip) -> Answer:
        """Send one request. Once the key is refused or the budget is spent, raise that error again and send no more."""
        if self._stopped_by:
            raise type(self._stopped_by)(str(self._stopped_by))
        try:
            audio = encoded(clip.pcm, self._audio_format)
            answer = self._speech.recognize(audio, self._options, self._usage, self._budget)
        except (Misconfigured, Exhausted) as error:
            self._stopped_by = error
            raise
        return answer.clamped(clip.seconds)

    def _handle_answer(self, answer: Answer, clip: Clip, result: ClipResult) -> tuple[Clip, ...]:
        """Add the answer's words and gaps to `result`. Return the clips to resend."""
        if answer.phrase:
            result.phrases.append(answer.phrase.shifted(clip.start / SAMPLE_RATE))
        coverage = _coverage(clip, answer)
        if answer.status == answers.SUCCESS:
            if not coverage.resend:
                result.add_gap(coverage.uncovered, NOT_COVERED)
            return coverage.resend
        if answer.status == answers.NO_MATCH:
            result.add_gap(_wordless(clip, coverage.resend), answers.NO_MATCH)
            return coverage.resend
        return tuple(speech for part in coverage.resend for speech in self._skip_noise(part))

    def _skip_noise(self, clip: Clip) -> Iterator[Clip]:
        """Yield the rest of the clip from where somebody speaks, if anybody does.

        Noise or silence ended the recognition before this clip. What follows may be speech or hold music, so it is
        first sent in probes. Their answers do not count, because they may end in the middle of a word.
        """
        while clip.voiced and self._reserve_resend(min(PROBE_SECONDS, clip.seconds)):
            if clip.seconds <= PROBE_SECONDS:
                yield clip
                return
            probe_end = clip.start + round(PROBE_SECONDS * SAMPLE_RATE)
            answer = self._send(clip.between(clip.start, probe_end))
            if answer.phrase or answer.status == answers.NO_MATCH:
                yield clip
                return
            clip = clip.between(probe_end, clip.end)

    def _reserve_resend(self, seconds: float) -> bool:
        """Reserve `seconds` of the audio that may be resent after noise. Return False if less is left."""
        with self._lock:
            allowed = NOISE_RESEND_SECONDS + NOISE_RESEND_SHARE * self._usage.audio_seconds
            if self._noise_resent + seconds > allowed:
                return False
            self._noise_resent += seconds
            return True


def _coverage(clip: Clip, answer: Answer) -> Coverage:
    answer_end = clip.start + round(answer.covered * SAMPLE_RATE)
    if answer.phrase and answer.phrase.words:
        return measure_coverage(clip, answer_end, clip.start + round(answer.phrase.words[-1].end * SAMPLE_RATE))
    return measure_coverage(clip, answer_end)


def _wordless(clip: Clip, resend: tuple[Clip, ...]) -> tuple[Stretch, ...]:
    """Return the stretches of speech without words up to the first clip to resend, or none if they are short."""
    stretches = clipped(clip.voiced, clip.start, resend[0].start if resend else clip.end)
    return stretches if total_length(stretches) >= MIN_GAP_SECONDS * SAMPLE_RATE else ()
