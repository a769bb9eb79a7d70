"""One recording's way through the service: cut, recognised side by side, covered to the end, joined in order.

Each clip ends as a `ClipResult`: phrases and gaps on the recording's own clock. A clip that fails does not fail the
recording, because the answers to the others are paid for and worth having.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.recording import Recording
from transcription.clips.coverage import remainder, rests
from transcription.clips.cutting import Clip, cut
from transcription.clock import Budget
from transcription.errors import (
    Exhausted,
    Misconfigured,
    RequestRefused,
    TooLong,
    TooLongForPronunciation,
    UnsupportedAudio,
)
from transcription.ordered_map import ordered_map
from transcription.settings.app import Settings
from transcription.speech import answers
from transcription.speech.answers import Answer
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.encoding import encoded
from transcription.speech.pronunciation import LONGEST_ASSESSED
from transcription.transcript.assembly import ClipResult, assemble
from transcription.transcript.model import Gap, Transcript, Usage

log = logging.getLogger(__name__)

LONG_RECORDING = 120.0  # seconds from which on the log tells of progress
UNKNOWN_STEP = 600.0  # seconds of audio between two such lines where the file does not say how long it is
MOST_CLIPS = 16  # of one recording in flight, whatever the quota: with the quota of S0, 100, they would fill 200 MB
CLIPS_AHEAD = 2  # cut and waiting while as many as may be in flight are; each takes up to 2 MB
# What may be sent again after the service found nobody speaking: seconds for each recording, and a share of what was
# sent.
SECOND_LOOKS_SECONDS = 30.0
SECOND_LOOKS_SHARE = 0.03
PROBE_SECONDS = 12.0
LEAST_GAP_SECONDS = 0.5  # of sound without words: less is a cough or a door, which is no speech lost
NOT_COVERED = "NotCovered"  # a gap's reason: the service answers, but never gets to that stretch
DAMAGED = "DamagedAudio"  # a gap's reason: the file does not hold that stretch any more


class Transcriber:
    """Turns recordings into transcripts, for all threads of the process."""

    def __init__(self, settings: Settings, speech: SpeechClient) -> None:
        self.settings = settings
        self._speech = speech

    def transcribe(self, recording: Recording, asked: RecognitionOptions, usage: Usage, budget: Budget) -> Transcript:
        """Final, Misconfigured, Exhausted: there is no transcript."""
        usage.endpoint = self._speech.endpoint
        budget = budget.part()
        listener = _ClipRecognizer(self._speech, self.settings.speech.audio_format, asked, usage, budget)
        played = _SampleCounter(recording, self.settings.limits.audio_seconds)
        if asked.pronunciation:
            heard = listener.assess(_whole(played))
        else:
            places = min(self.settings.speech.max_concurrent_requests, MOST_CLIPS)
            clips = cut(played.blocks())
            stream = ordered_map(listener.listen, clips, places, places + CLIPS_AHEAD, abandon=budget.end)
            heard = list(_with_progress(stream, recording, budget.name))
        if not any(one.phrases or one.gaps for one in heard):
            played.check_damage()
        return assemble(heard, played.damage(), played.seconds, asked.language)


def _with_progress(stream: Iterator[ClipResult], recording: Recording, name: str) -> Iterator[ClipResult]:
    """A line in the log for each tenth of a long recording, or each ten minutes where its length is not known."""
    length = recording.duration or 0.0
    step = length / 10 if length else UNKNOWN_STEP
    reported = 0
    for heard in stream:
        yield heard
        done = heard.end / SAMPLE_RATE
        if max(length, done) >= LONG_RECORDING and done // step > reported:
            reported = int(done // step)
            share = f" of {_clock(length)} ({min(1.0, done / length):.0%})" if length else ""
            log.info("%r: transcribed %s%s", name, _clock(done), share)


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


class _SampleCounter:
    """A recording's samples on their way, counted: what the file says of its own length is not believed."""

    def __init__(self, recording: Recording, longest: float) -> None:
        self._recording = recording
        self._longest = longest
        self._samples = 0

    @property
    def seconds(self) -> float:
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[bytes]:
        """TooLong: the file says so, or it turns out while it is read."""
        if (self._recording.duration or 0) > self._longest:
            raise self._too_long(f"The recording lasts {self._recording.duration:.0f} s")
        for block in self._recording.blocks():
            self._samples += len(block) // SAMPLE_BYTES
            if self.seconds > self._longest:
                raise self._too_long("The recording goes on")
            yield block

    def _too_long(self, what: str) -> TooLong:
        limit = self._longest / 60
        return TooLong(f"{what}, the limit is {limit:g} minutes (MAX_AUDIO_MINUTES). Upload it in parts.")

    def check_damage(self) -> None:
        """UnsupportedAudio: a damaged file, and nobody speaks in what can be read of it."""
        if self._recording.damage:
            raise UnsupportedAudio(f"Nobody speaks in what can be read: {self._recording.damage}. Upload it again.")

    def damage(self) -> list[Gap]:
        """What a damaged file does not give any more, in the document's terms."""
        if self._recording.damage is None:
            return []
        log.warning("The recording is damaged: %s", self._recording.damage)
        return [Gap(start, duration, DAMAGED) for start, duration in self._recording.lost]


class _ClipRecognizer:
    """Has the clips of one recording recognised. Shared by the recording's threads."""

    def __init__(
        self, speech: SpeechClient, audio_format: str, asked: RecognitionOptions, usage: Usage, budget: Budget
    ) -> None:
        self._speech = speech
        self._audio_format = audio_format
        self._asked = asked
        self._ledger = usage
        self._budget = budget
        self._hopeless: Misconfigured | Exhausted | None = None
        self._looked_again = 0.0
        self._lock = threading.Lock()

    def listen(self, clip: Clip) -> ClipResult:
        """Sends the clip, and again what its answer does not cover, until all that may be speech is accounted for."""
        heard = ClipResult(clip.start, clip.end, clip.overlap)
        waiting = deque([clip])
        while waiting:
            piece = waiting.popleft()
            try:
                waiting.extendleft(reversed(self._account(piece, self._ask(piece), heard)))
            except (Exhausted, Misconfigured, RequestRefused) as error:
                heard.add_gap(piece.voiced, error.code)
                heard.error = error
        return heard

    def assess(self, clip: Clip) -> list[ClipResult]:
        """One request, whatever it covers: an assessment is of the whole text."""
        if not clip.pcm:
            return []
        heard, answer = ClipResult(clip.start, clip.end, clip.overlap), self._ask(clip)
        if answer.phrase:
            heard.phrases.append(answer.phrase)
        elif answer.status == answers.NO_MATCH:
            heard.add_gap(clip.voiced, answers.NO_MATCH)
        return [heard]

    def _ask(self, piece: Clip) -> Answer:
        """Once the key is refused or the budget gone, the recording's other clips are not sent any more."""
        if self._hopeless:
            raise type(self._hopeless)(str(self._hopeless))
        try:
            audio = encoded(piece.pcm, self._audio_format)
            answer = self._speech.recognize(audio, self._asked, self._ledger, self._budget)
        except (Misconfigured, Exhausted) as error:
            self._hopeless = error
            raise
        return answer.clamped(piece.seconds)

    def _account(self, piece: Clip, answer: Answer, heard: ClipResult) -> tuple[Clip, ...]:
        """Notes what the answer gives and lacks; what is to be sent again."""
        covered = piece.start + round(answer.covered * SAMPLE_RATE)
        spoken = None
        if phrase := answer.phrase:
            heard.phrases.append(phrase.shifted(piece.start / SAMPLE_RATE))
            if phrase.words:
                spoken = piece.start + round(phrase.words[-1].end * SAMPLE_RATE)
        again = rests(piece, covered, spoken)
        left = remainder(piece, covered, spoken)
        if answer.status == answers.SUCCESS:
            heard.add_gap([] if again else left, NOT_COVERED)
            return again
        if answer.status == answers.NO_MATCH:
            until = again[0].start if again else piece.end
            wordless = [(start, min(end, until)) for start, end in piece.voiced if start < until]
            if sum(end - start for start, end in wordless) >= LEAST_GAP_SECONDS * SAMPLE_RATE:
                heard.add_gap(wordless, answers.NO_MATCH)
            return again
        return tuple(found for rest in again for found in self._behind_noise(rest))

    def _behind_noise(self, rest: Clip) -> tuple[Clip, ...]:
        """The rest of a clip from where somebody speaks, after silence or noise ended its recognition.

        Looked for in probes, because the service gives up again at each: what is behind may be speech, but also hold
        music, which must not be sent for ever. A probe's own answer does not count: it may end within a word.
        """
        probe = round(PROBE_SECONDS * SAMPLE_RATE)
        while rest.voiced and self._may_look(min(PROBE_SECONDS, rest.seconds)):
            if rest.seconds <= PROBE_SECONDS:
                return (rest,)
            answer = self._ask(rest.between(rest.start, rest.start + probe))
            if answer.phrase or answer.status == answers.NO_MATCH:
                return (rest,)
            rest = rest.between(rest.start + probe, rest.end)
        return ()

    def _may_look(self, seconds: float) -> bool:
        with self._lock:
            allowed = SECOND_LOOKS_SECONDS + SECOND_LOOKS_SHARE * self._ledger.audio_seconds
            if self._looked_again + seconds > allowed:
                return False
            self._looked_again += seconds
            return True


def _whole(played: _SampleCounter) -> Clip:
    """The recording as one clip, for a pronunciation assessment. TooLongForPronunciation."""
    pcm = bytearray()
    for block in played.blocks():
        pcm += block
        if played.seconds > LONGEST_ASSESSED:
            raise TooLongForPronunciation(
                f"The recording is longer than the {LONGEST_ASSESSED:g} s that a pronunciation assessment may have."
                " Upload it in parts, each with the text that is read in it."
            )
    return Clip(0, bytes(pcm), ((0, len(pcm) // SAMPLE_BYTES),))
