"""Plans the requests for one clip: sends it, resends what the answer leaves out, and notes the gaps that remain.

The service does not say when it stops early, so every answer is compared with the sound of its clip. If it reports no
speech, the audio after that point is resent too, within limits: it may be hold music.

A plan is a generator. It yields the audio to send and is given the answer, or an error if there will be none. So it can
wait for its turn between two requests, in any thread, and continue where it was.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.clip import Clip, Stretch, clipped, total_length
from transcription.clips.coverage import Coverage, measure_coverage
from transcription.errors import AbandonedForGood, Misconfigured, RequestRefused
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.transcript.assembly import ClipResult
from transcription.transcript.model import Usage

NOISE_RESEND_SECONDS = 30.0  # seconds per recording that may be resent after noise or silence
NOISE_RESEND_SHARE = 0.03  # of the audio sent so far; may be resent on top of that
PROBE_SECONDS = 12.0  # of the audio after noise, sent first to find out if it is speech
MIN_GAP_SECONDS = 0.5  # shorter sound without words is a cough or a door: no speech is lost
NOT_COVERED = "NotCovered"  # a gap's reason: the service answers, but never gets to that stretch

Plan = Generator[Clip, Answer, ClipResult]


class NoiseAllowance:
    """The audio that one recording may resend after noise. Safe to use from many threads."""

    def __init__(self, usage: Usage, is_known: Callable[[Clip], bool]) -> None:
        """Begin with nothing resent. `is_known` tells whether a clip was answered in an earlier invocation."""
        self._usage = usage
        self._is_known = is_known
        self._resent = 0.0  # seconds
        self._lock = threading.Lock()

    def reserve(self, clip: Clip) -> bool:
        """Reserve the clip's part of the allowance. Return False if less is left.

        A known answer is always allowed: it was allowed before, when more audio may have been sent.
        """
        with self._lock:
            allowed = NOISE_RESEND_SECONDS + NOISE_RESEND_SHARE * self._usage.audio_seconds
            if self._resent + clip.seconds > allowed and not self._is_known(clip):
                return False
            self._resent += clip.seconds
            return True


def recognize(clip: Clip, reserve: Callable[[Clip], bool]) -> Plan:
    """Send the clip, then resend uncovered parts until all possible speech has an answer or a gap.

    `reserve` tells whether a clip may be resent after noise.
    """
    result = ClipResult(clip.start, clip.end, clip.overlap)
    parts = deque([clip])
    while parts:
        part = parts.popleft()
        try:
            answer = (yield part).clamped(part.seconds)
            resend = yield from _handle_answer(answer, part, result, reserve)
            parts.extendleft(reversed(resend))
        except (AbandonedForGood, Misconfigured, RequestRefused) as error:
            result.add_gap(part.speech, error.code)
            result.error = error
    return result


def assess_pronunciation(clip: Clip) -> Plan:
    """Send the clip once, whatever the answer covers: an assessment scores the whole text."""
    result = ClipResult(clip.start, clip.end, clip.overlap)
    answer = (yield clip).clamped(clip.seconds)
    if answer.phrase:
        result.phrases.append(answer.phrase)
    elif answer.status == answers.NO_MATCH:
        result.add_gap(clip.speech, answers.NO_MATCH)
    return result


def _handle_answer(
    answer: Answer, clip: Clip, result: ClipResult, reserve: Callable[[Clip], bool]
) -> Generator[Clip, Answer, tuple[Clip, ...]]:
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
    resend: list[Clip] = []
    for part in coverage.resend:
        resend += yield from _skip_noise(part, reserve)
    return tuple(resend)


def _skip_noise(clip: Clip, reserve: Callable[[Clip], bool]) -> Generator[Clip, Answer, list[Clip]]:
    """Return the rest of the clip from the first probe with speech, if any.

    Noise or silence ended the recognition before this clip. What follows may be speech or hold music, so it is first
    sent in probes. Their answers do not count, because they may end in the middle of a word.
    """
    while clip.speech:
        probe_end = clip.start + round(PROBE_SECONDS * SAMPLE_RATE)
        probe = clip if clip.seconds <= PROBE_SECONDS else clip.between(clip.start, probe_end)
        if not reserve(probe):
            break
        if probe is clip:
            return [clip]
        answer = yield probe
        if answer.phrase or answer.status == answers.NO_MATCH:
            return [clip]
        clip = clip.between(probe_end, clip.end)
    return []


def _coverage(clip: Clip, answer: Answer) -> Coverage:
    answer_end = clip.start + round(answer.covered * SAMPLE_RATE)
    if answer.phrase and answer.phrase.words:
        return measure_coverage(clip, answer_end, clip.start + round(answer.phrase.words[-1].end * SAMPLE_RATE))
    return measure_coverage(clip, answer_end)


def _wordless(clip: Clip, resend: tuple[Clip, ...]) -> tuple[Stretch, ...]:
    """Return the speech before the first clip to resend. Return nothing if it is too short to matter."""
    stretches = clipped(clip.speech, clip.start, resend[0].start if resend else clip.end)
    return stretches if total_length(stretches) >= MIN_GAP_SECONDS * SAMPLE_RATE else ()
