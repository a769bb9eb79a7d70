"""One recording's way through the service: cut, recognised side by side, covered to the end, joined in order.

What became of each clip is a `Heard`: phrases and gaps on the recording's own clock. A clip that fails does not fail
the recording, because what the others said is paid for and worth having.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transcription import answers
from transcription.answers import Answer
from transcription.clips import Clip, cut
from transcription.coverage import remainder, rests
from transcription.encoding import SAMPLE_BYTES, SAMPLE_RATE, encoded
from transcription.errors import (
    Exhausted,
    Misconfigured,
    NothingRecognized,
    RequestRefused,
    TooLong,
    TooLongForPronunciation,
    TranscriptionError,
    UnsupportedAudio,
)
from transcription.joining import join
from transcription.pacing import Budget
from transcription.pronunciation import LONGEST_ASSESSED
from transcription.recording import Recording
from transcription.settings import Settings
from transcription.side_by_side import side_by_side
from transcription.speech import Options, SpeechClient
from transcription.transcript import Gap, Ledger, Phrase, Transcript

log = logging.getLogger(__name__)

LONG_RECORDING = 120.0  # seconds from which on the log tells of progress
UNKNOWN_STEP = 600.0  # seconds of audio between two such lines where the file does not say how long it is
CLIPS_AHEAD = 2  # cut and waiting while as many as may be in flight are; each takes up to 2 MB
# What may be sent again after the service found nobody speaking: seconds for each recording, and a share of what was
# sent.
SECOND_LOOKS_SECONDS = 30.0
SECOND_LOOKS_SHARE = 0.03
LEAST_GAP_SECONDS = 0.5  # of sound without words: less is a cough or a door, which is no speech lost
NOT_COVERED = "NotCovered"  # a gap's reason: the service answers, but never gets to that stretch
DAMAGED = "DamagedAudio"  # a gap's reason: the file does not hold that stretch any more


@dataclass
class Heard:
    """What became of one clip; `error` is what kept part of it from an answer.

    Of the clip itself only its place is left (samples of the recording): the sound of all clips would fill the memory.
    """

    start: int
    end: int
    overlap: int
    phrases: list[Phrase] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    error: TranscriptionError | None = None

    def missing(self, spoken: Sequence[tuple[int, int]], reason: str) -> None:
        """Notes one gap from the first of these stretches (samples of the recording) to the end of the last."""
        if spoken:
            start, end = spoken[0][0] / SAMPLE_RATE, spoken[-1][1] / SAMPLE_RATE
            self.gaps.append(Gap(start, end - start, reason))


class Transcriber:
    """Turns recordings into transcripts, for all threads of the process."""

    def __init__(self, settings: Settings, speech: SpeechClient) -> None:
        self.settings = settings
        self._speech = speech

    def transcribe(self, recording: Recording, asked: Options, ledger: Ledger, budget: Budget) -> Transcript:
        """Final, Misconfigured, Exhausted: there is no transcript."""
        ledger.endpoint = self._speech.endpoint
        listener = _Listener(self._speech, self.settings.speech.audio_format, asked, ledger, budget)
        played = _Played(recording, self.settings.limits.audio_seconds)
        if asked.pronunciation:
            heard = [listener.assess(_whole(played))]
        else:
            places = self.settings.speech.max_concurrent_requests
            stream = side_by_side(listener.listen, cut(played.blocks()), places, places + CLIPS_AHEAD)
            heard = list(_with_progress(stream, recording, budget.name))
        return _assembled(heard, played, asked.language)


def _with_progress(stream: Iterator[Heard], recording: Recording, name: str) -> Iterator[Heard]:
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


class _Played:
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


class _Listener:
    """Has the clips of one recording recognised. Shared by the recording's threads."""

    def __init__(self, speech: SpeechClient, audio_format: str, asked: Options, ledger: Ledger, budget: Budget) -> None:
        self._speech = speech
        self._audio_format = audio_format
        self._asked = asked
        self._ledger = ledger
        self._budget = budget
        self._hopeless: Misconfigured | None = None
        self._looked_again = 0.0
        self._lock = threading.Lock()

    def listen(self, clip: Clip) -> Heard:
        """Sends the clip, and again what its answer does not cover, until all that may be speech is accounted for."""
        heard = Heard(clip.start, clip.end, clip.overlap)
        waiting = deque([clip])
        while waiting:
            piece = waiting.popleft()
            try:
                answer = self._ask(piece)
            except (Exhausted, Misconfigured, RequestRefused) as error:
                heard.missing(piece.voiced, error.code)
                heard.error = error
            else:
                waiting.extendleft(reversed(self._account(piece, answer, heard)))
        return heard

    def assess(self, clip: Clip) -> Heard:
        """One request, whatever it covers: an assessment is of the whole text."""
        answer = self._ask(clip)
        return Heard(clip.start, clip.end, clip.overlap, [answer.phrase] if answer.phrase else [])

    def _ask(self, piece: Clip) -> Answer:
        """Once the service has refused the key, the recording's other clips are not sent any more."""
        if self._hopeless:
            raise Misconfigured(str(self._hopeless))
        try:
            return self._speech.recognize(
                encoded(piece.pcm, self._audio_format), self._asked, self._ledger, self._budget
            )
        except Misconfigured as error:
            self._hopeless = error
            raise

    def _account(self, piece: Clip, answer: Answer, heard: Heard) -> tuple[Clip, ...]:
        """Notes what the answer gives and lacks; what is to be sent again."""
        covered = piece.start + round(answer.covered * SAMPLE_RATE)
        spoken = None
        if phrase := answer.phrase:
            heard.phrases.append(phrase.moved(piece.start / SAMPLE_RATE))
            if phrase.words:
                spoken = piece.start + round(phrase.words[-1].end * SAMPLE_RATE)
        again = rests(piece, covered, spoken)
        left = remainder(piece, covered, spoken)
        if answer.status == answers.SUCCESS:
            heard.missing([] if again else left, NOT_COVERED)
            return again
        if answer.status == answers.NO_MATCH:
            until = again[0].start if again else piece.end
            wordless = [(start, min(end, until)) for start, end in piece.voiced if start < until]
            if sum(end - start for start, end in wordless) >= LEAST_GAP_SECONDS * SAMPLE_RATE:
                heard.missing(wordless, answers.NO_MATCH)
            return again
        return again if self._may_look_again(again) else ()

    def _may_look_again(self, clips: tuple[Clip, ...]) -> bool:
        """Speech may follow where the service heard silence or noise, but hold music must not be sent for ever."""
        seconds = sum(len(clip.pcm) for clip in clips) / SAMPLE_BYTES / SAMPLE_RATE
        with self._lock:
            allowed = SECOND_LOOKS_SECONDS + SECOND_LOOKS_SHARE * self._ledger.audio_seconds
            if self._looked_again + seconds > allowed:
                return False
            self._looked_again += seconds
            return True


def _whole(played: _Played) -> Clip:
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


def _assembled(heard: list[Heard], played: _Played, language: str) -> Transcript:
    """The transcript; where there are no words at all, the error that says why."""
    phrases = list(_in_order(heard))
    gaps = [gap for one in heard for gap in one.gaps]
    errors = sorted((one.error for one in heard if one.error), key=lambda error: not error.try_again)
    if not phrases and errors:
        raise errors[0]
    if not phrases and gaps:
        raise NothingRecognized(
            f"There is speech in this recording, but no words of {language} were understood: check the language"
            " (metadata `language`, the first folder, or SPEECH_LANGUAGE) and upload it again."
        )
    if not phrases:
        played.check_damage()
    gaps = sorted([*gaps, *played.damage()], key=lambda gap: gap.offset)
    mendable = errors[0] if errors and errors[0].try_again else None
    return Transcript(language, played.seconds, tuple(phrases), tuple(gaps), mendable)


def _in_order(heard: list[Heard]) -> Iterator[Phrase]:
    """All phrases; what two answers to shared sound both have is kept once, and no phrase reaches into the next."""
    before: Phrase | None = None
    for one in heard:
        shared = one.overlap / SAMPLE_RATE
        for phrase in one.phrases:
            if before and (shared or (before.words and phrase.words)):
                before, phrase = join(before, phrase)
                if not phrase.words:  # nothing tells more than that the seam is somewhere in the shared sound
                    phrase = phrase.within(one.start / SAMPLE_RATE + shared / 2, phrase.end)
            shared = 0.0
            if before and before.text:
                yield before.within(0.0, max(before.offset, phrase.offset))
            before = phrase
    if before and before.text:
        yield before
