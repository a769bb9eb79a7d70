"""PCM → clips that end in pauses, none over the service's limit.

The service takes 60 s, and is reported to stop at the first pause of about a second, with `Success` and without a
word of what follows. So a clip holds no such pause, and a cut lies where nobody speaks. Where somebody speaks all the
time, two clips share a little sound, so that each word is whole in one of them; `joining` drops what is then there
twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.voice_activity import (
    FRAME,
    FRAMES_PER_SECOND,
    LEAST_FLOOR_DB,
    MIN_THRESHOLD_DB,
    Levels,
    Sound,
    measured,
    spans,
)

# The service's limit is 60 s; what it does past it is not documented, and codecs add some of their own.
MAX_CLIP_SECONDS = 58.0
# No clip holds a longer pause: the service is reported to stop at about one second, and a pause is measured to 0.1
# s.
PAUSE_SECONDS = 0.8
BEFORE_SECONDS = 0.15
# Silence kept before and after speech: a recogniser wants some, and words begin and, even more, end more faintly
# than can be measured. Not more: with 3 s of speech between long pauses this is an eighth of what is sent and
# billed.
AFTER_SECONDS = 0.2
# Silence up to this length is cut in the middle and sent: little is gained without it, and noise may hide a word's
# edge.
WHOLE_SECONDS = 1.0
# A silence of this length in running speech lies between words: a stop within a word lasts 0.2 s at most, and noise
# that hides the end of one word and the beginning of the next makes it longer by 0.25 s at most.
SURE_SECONDS = 0.5
# Part of a clip that must be filled before running speech is cut: with less, a recording would need over 1.5 times
# the requests it must have.
EARLIEST_SHARE = 0.7
# Where there is no silence, the quietest point so long before the limit is taken: a few words' time.
SEARCH_SECONDS = 6.0
MIN_OVERLAP_SECONDS = 1.5
# Shared by two clips that are cut in running speech. Four words and more, so that one is found that both heard
# alike.
MAX_OVERLAP_SECONDS = 3.0
QUIET_SECONDS = 0.1  # the quietest point is that with the least sound for so long: about the gap between two words.
# Less sound than this between two pauses is a click. The shortest words (a, I, it) have 0.15 s.
LEAST_SOUND_SECONDS = 0.1
# A shorter recording may be one word from end to end, with nothing to tell it from noise: it is sent as it is.
SHORT_SECONDS = 2.0


@dataclass(frozen=True)
class Clip:
    """A stretch of the recording to be sent as one request. Positions are samples of the recording."""

    start: int
    pcm: bytes
    """16 kHz mono s16le."""
    voiced: tuple[tuple[int, int], ...]
    """The stretches (start, end) with sound that may be speech and that an answer to this clip has to cover. Sound
    that two clips share is divided in its middle: up to there each of the two has whole words."""
    overlap: int = 0
    """Samples at its start that the clip before holds too: 0 unless cut in running speech."""

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // 2

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / SAMPLE_RATE

    def between(self, start: int, end: int) -> "Clip":
        """The part of it between two samples of the recording."""
        voiced = tuple(
            (max(first, start), min(last, end)) for first, last in self.voiced if last > start and first < end
        )
        return Clip(start, self.pcm[(start - self.start) * 2 : (end - self.start) * 2], voiced)


def cut(blocks: Iterable[bytes], limit_seconds: float = MAX_CLIP_SECONDS) -> Iterator[Clip]:
    """16 kHz mono s16le in blocks of any size → clips of at most `limit_seconds`, in order. Long silence is in none.

    Each is there as soon as it can be decided, some 20 s of audio after its end. Holds a clip and half a minute.
    """
    tape = _PendingAudio(_frames(limit_seconds))
    for sound in measured(blocks):
        tape.extend(sound)
        yield from tape.clips(more=True)
    yield from tape.clips(more=False)


def _frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


PAUSE = _frames(PAUSE_SECONDS)
BEFORE, AFTER = _frames(BEFORE_SECONDS), _frames(AFTER_SECONDS)
WHOLE = _frames(WHOLE_SECONDS)


@dataclass(frozen=True)
class _Run:
    """A stretch of sound without a pause in it, and the silence behind it (frames)."""

    first: int
    last: int
    silence: int
    ended: bool
    """False where the sound may go on with what is still to come."""


@dataclass(frozen=True)
class _Cut:
    """Where a clip ends, where the next may begin, and up to where this one has to answer for the sound (frames)."""

    end: int
    resume: int
    duty: int


class _PendingAudio:
    """What was heard and is in no clip yet. Counts in frames from its own start, which moves on with every clip."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pcm = bytearray()
        self._active = np.zeros(0, np.bool_)
        self._level = np.zeros(0, np.float32)
        self._start = 0
        self._overlap = 0

    def extend(self, sound: Sound) -> None:
        self._pcm += sound.pcm.tobytes()
        self._active = np.concatenate((self._active, sound.active))
        self._level = np.concatenate((self._level, sound.level))

    def clips(self, more: bool) -> Iterator[Clip]:
        """Takes off what can be decided; `more` tells whether the recording goes on."""
        if not more and self._is_short_recording():
            yield self._whole()
            return
        while run := self._next_run():
            begin = 0 if self._overlap or run.first <= WHOLE // 2 else run.first - BEFORE
            end = min(run.last + AFTER if run.silence >= WHOLE else run.last + run.silence // 2, len(self._active))
            if (run.last + AFTER if more else end) - begin > self._limit:
                yield self._take(begin, self._cut_running_speech(begin))
            elif more and not run.ended:
                return
            else:
                end = min(end, begin + self._limit)
                clip = self._take(begin, _Cut(end, end, end))
                if clip.overlap or _length(clip.voiced) >= LEAST_SOUND_SECONDS * SAMPLE_RATE:
                    yield clip
        if not self._overlap and not (more and self._is_short_recording()):
            self._forget(max(0, len(self._active) - BEFORE))

    def _next_run(self) -> _Run | None:
        """The first stretch of sound without a pause in it, as far as it is known."""
        sounds = spans(self._active)
        if not sounds:
            return None
        first, last = sounds[0]
        for start, end in sounds[1:]:
            if start - last >= PAUSE:
                return _Run(first, last, start - last, ended=True)
            last = end
        silence = len(self._active) - last
        return _Run(first, last, WHOLE, ended=silence >= WHOLE)

    def _cut_running_speech(self, begin: int) -> _Cut:
        earliest, latest = begin + int(self._limit * EARLIEST_SHARE), begin + self._limit
        silences = [
            (last - first, (first + last) // 2)
            for first, last in spans(~self._active[: latest + PAUSE])
            if last - first >= _frames(SURE_SECONDS)
        ]
        within = [silence for silence in silences if earliest <= silence[1] <= latest]
        if within:
            _, end = max(within)
            return _Cut(end, end, end)
        end = quietest(self._level, latest - min(self._limit // 4, _frames(SEARCH_SECONDS)), latest)
        resume = quietest(self._level, end - _frames(MAX_OVERLAP_SECONDS), end - _frames(MIN_OVERLAP_SECONDS))
        return _Cut(end, resume, (resume + end) // 2)

    def _take(self, begin: int, cut: _Cut) -> Clip:
        pcm = bytes(self._pcm[begin * FRAME * 2 : cut.end * FRAME * 2])
        start = self._start + begin * FRAME
        shared = self._overlap // 2  # up to there the clip before answers for the sound
        clip = Clip(start, pcm, self._voiced(begin + shared, cut.duty, start + len(pcm) // 2), self._overlap * FRAME)
        self._forget(cut.resume)
        self._overlap = cut.end - cut.resume
        return clip

    def _voiced(self, begin: int, duty: int, end: int) -> tuple[tuple[int, int], ...]:
        origin = self._start + begin * FRAME
        found = spans(self._active[begin:duty])
        return tuple((origin + first * FRAME, min(end, origin + last * FRAME)) for first, last in found)

    def _forget(self, frames: int) -> None:
        del self._pcm[: frames * FRAME * 2]
        self._active, self._level = self._active[frames:], self._level[frames:]
        self._start += frames * FRAME

    def _is_short_recording(self) -> bool:
        audible = bool((self._level > LEAST_FLOOR_DB + MIN_THRESHOLD_DB).any())
        return self._start == 0 and len(self._active) <= _frames(SHORT_SECONDS) and audible

    def _whole(self) -> Clip:
        if not self._active.any():
            self._active[:] = True
        end = len(self._active)
        return self._take(0, _Cut(end, end, end))


def quietest(level: Levels, first: int, last: int) -> int:
    """The frame in the middle of the `QUIET_SECONDS` with the least sound, of those in `first` to `last`."""
    width = _frames(QUIET_SECONDS)
    sums = np.convolve(level[first:last], np.ones(width, np.float32), "valid")
    return first + int(np.argmin(sums)) + width // 2


def _length(stretches: Iterable[tuple[int, int]]) -> int:
    return sum(last - first for first, last in stretches)
