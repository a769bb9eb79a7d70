"""Cuts PCM into clips that end in pauses and stay below the service's limit.

The service accepts 60 s. It reportedly stops at the first pause of about a second, reports `Success` and omits the
rest. So no clip holds such a pause, and cuts are made in silence. In speech without a pause, two clips share a little
sound, so that each word is whole in one of them. `transcript.joining` then keeps each word once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.clips.clip import Clip, Stretch, total_length
from transcription.clips.voice_activity import (
    FRAME_SAMPLES,
    VAD_DEFAULTS,
    Activity,
    Levels,
    VadOptions,
    detect_activity,
    spans,
    to_frames,
)

CUTTING_VERSION = 1  # raise it with any change of the cuts: answers to other clips are then not used again
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES


@dataclass(frozen=True)
class CuttingOptions:
    """The tuning of the cuts. Times are in seconds."""

    vad: VadOptions = VAD_DEFAULTS

    max_clip_seconds: float = 58.0  # the documented limit is 60 s, and codecs add padding
    # A longer pause ends the clip. The service reportedly stops at 1 s, and our measure may be off by 0.1 s.
    pause_seconds: float = 0.8

    # Silence around speech. With 3 s of speech between long pauses, these two are a tenth of what is sent and billed.
    before_seconds: float = 0.15  # sent before speech: recognisers want some, and words begin faintly
    after_seconds: float = 0.2  # sent after speech: words end even more faintly
    short_silence_seconds: float = 1.0  # silence up to this long is sent whole; noise may hide word edges in it

    # Cuts in running speech.
    word_gap_seconds: float = 0.5  # longer silence is between words: within one it lasts 0.2 s, or 0.45 s in noise
    # No clip is cut before this share of `max_clip_seconds`. A lower share can cost over 1.5 times the requests.
    min_fill_share: float = 0.7
    search_seconds: float = 6.0  # without such silence, cut at the quietest point in this much of the clip's end
    quiet_seconds: float = 0.1  # length of the quietest point: about the gap between two words
    min_overlap_seconds: float = 1.5  # the least that the two clips share
    max_overlap_seconds: float = 3.0  # the most: at least four words, so one is recognised the same way in both clips

    # Very short sound.
    min_sound_seconds: float = 0.1  # less between two pauses is a click; the shortest words (a, I, it) have 0.15 s
    short_recording_seconds: float = 2.0  # up to this long, all is sent: VAD cannot tell one word from noise

    @property
    def max_clip_frames(self) -> int:
        return to_frames(self.max_clip_seconds)

    @property
    def pause_frames(self) -> int:
        return to_frames(self.pause_seconds)

    @property
    def before_frames(self) -> int:
        return to_frames(self.before_seconds)

    @property
    def after_frames(self) -> int:
        return to_frames(self.after_seconds)

    @property
    def short_silence_frames(self) -> int:
        return to_frames(self.short_silence_seconds)

    @property
    def min_fill_frames(self) -> int:
        return int(self.max_clip_frames * self.min_fill_share)

    @property
    def search_frames(self) -> int:
        return min(self.max_clip_frames // 4, to_frames(self.search_seconds))


CUTTING_DEFAULTS = CuttingOptions()


def cut(blocks: Iterable[bytes], options: CuttingOptions = CUTTING_DEFAULTS) -> Iterator[Clip]:
    """Yield clips in order, each as soon as its end is decided: about 20 s of audio later. See `cut_in_steps`."""
    return chain.from_iterable(cut_in_steps(blocks, options))


def cut_in_steps(blocks: Iterable[bytes], options: CuttingOptions = CUTTING_DEFAULTS) -> Iterator[list[Clip]]:
    """Yield the clips that each ten seconds of audio decide, often none. No clip has long silence.

    `blocks` is 16 kHz mono s16le, in blocks of any size. Holds a clip and half a minute of audio.
    """
    pending = _PendingAudio(options)
    for activity in detect_activity(blocks, options.vad):
        pending.extend(activity)
        yield list(pending.clips(more=True))
    yield list(pending.clips(more=False))


@dataclass(frozen=True)
class _Utterance:
    """A stretch of sound without a pause in it, and the silence after it, in frames.

    `ended` is False if later audio may extend it.
    """

    first: int
    last: int
    silence: int
    ended: bool


@dataclass(frozen=True)
class _CutPoint:
    """The end of a clip and the start of the next one, in frames.

    The clip's answer has to cover the sound up to `speech_end`.
    """

    end: int
    next_start: int
    speech_end: int

    @classmethod
    def in_silence(cls, end: int) -> "_CutPoint":
        return cls(end, end, end)


class _PendingAudio:
    """The audio that is in no clip yet. Frames are counted from its start, which moves on with every clip."""

    def __init__(self, options: CuttingOptions) -> None:
        self._options = options
        self._pcm = bytearray()
        self._active = np.zeros(0, np.bool_)
        self._level = np.zeros(0, np.float32)
        self._start = 0  # sample of the recording
        self._overlap = 0  # frames at the start that the last clip holds too

    def extend(self, activity: Activity) -> None:
        self._pcm += activity.pcm.tobytes()
        self._active = np.concatenate((self._active, activity.active))
        self._level = np.concatenate((self._level, activity.level))

    def clips(self, more: bool) -> Iterator[Clip]:
        """Yield and remove the clips whose ends are certain. `more` is True while audio may still follow."""
        options = self._options
        if not more and self._is_short_recording():
            yield self._take_all()
            return
        while utterance := self._next_utterance():
            begin, end = self._bounds(utterance)
            needed_end = utterance.last + options.after_frames if more else end
            if needed_end - begin > options.max_clip_frames:
                yield self._take(begin, self._cut_running_speech(begin))
            elif more and not utterance.ended:
                return
            else:
                end = min(end, begin + options.max_clip_frames)
                clip = self._take(begin, _CutPoint.in_silence(end))
                if clip.overlap or total_length(clip.speech) >= options.min_sound_seconds * SAMPLE_RATE:
                    yield clip
        if not self._overlap and not (more and self._is_short_recording()):
            self._drop(max(0, len(self._active) - options.before_frames))

    def _next_utterance(self) -> _Utterance | None:
        sounds = spans(self._active)
        if not sounds:
            return None
        pause = self._options.pause_frames
        first, last = sounds[0]
        for start, end in sounds[1:]:
            if start - last >= pause:
                return _Utterance(first, last, start - last, ended=True)
            last = end
        short_silence = self._options.short_silence_frames
        return _Utterance(first, last, short_silence, ended=len(self._active) - last >= short_silence)

    def _bounds(self, utterance: _Utterance) -> tuple[int, int]:
        """Return the first frame and the end of a clip that holds the utterance and some silence around it."""
        options, last = self._options, utterance.last
        at_start = self._overlap or utterance.first <= options.short_silence_frames // 2
        begin = 0 if at_start else utterance.first - options.before_frames
        is_short = utterance.silence < options.short_silence_frames
        end = last + utterance.silence // 2 if is_short else last + options.after_frames
        return begin, min(end, len(self._active))

    def _cut_running_speech(self, begin: int) -> _CutPoint:
        """Cut in the longest silence between words, or else at the quietest point, with some sound in both clips."""
        options = self._options
        earliest, latest = begin + options.min_fill_frames, begin + options.max_clip_frames
        silences = [
            (last - first, (first + last) // 2)
            for first, last in spans(~self._active[: latest + options.pause_frames])
            if last - first >= to_frames(options.word_gap_seconds)
        ]
        within = [silence for silence in silences if earliest <= silence[1] <= latest]
        if within:
            return _CutPoint.in_silence(max(within)[1])
        quiet_frames = to_frames(options.quiet_seconds)
        end = _quietest(self._level, latest - options.search_frames, latest, quiet_frames)
        next_earliest = end - to_frames(options.max_overlap_seconds)
        next_latest = end - to_frames(options.min_overlap_seconds)
        next_start = _quietest(self._level, next_earliest, next_latest, quiet_frames)
        return _CutPoint(end, next_start, (next_start + end) // 2)

    def _take(self, begin: int, cut_point: _CutPoint) -> Clip:
        """Remove and return a clip that begins at the frame `begin`."""
        pcm = bytes(self._pcm[begin * FRAME_BYTES : cut_point.end * FRAME_BYTES])
        start = self._start + begin * FRAME_SAMPLES
        end = start + len(pcm) // SAMPLE_BYTES
        speech_begin = begin + self._overlap // 2  # the previous clip must cover the sound before this
        speech = self._speech_between(speech_begin, cut_point.speech_end, end)
        clip = Clip(start, pcm, speech, self._overlap * FRAME_SAMPLES)
        self._drop(cut_point.next_start)
        self._overlap = cut_point.end - cut_point.next_start
        return clip

    def _speech_between(self, first_frame: int, last_frame: int, end: int) -> tuple[Stretch, ...]:
        """Return the stretches of sound between two frames. A last frame that is not full ends at `end`."""
        origin = self._start + first_frame * FRAME_SAMPLES
        sounds = spans(self._active[first_frame:last_frame])
        return tuple(
            (origin + first * FRAME_SAMPLES, min(end, origin + last * FRAME_SAMPLES)) for first, last in sounds
        )

    def _drop(self, frames: int) -> None:
        del self._pcm[: frames * FRAME_BYTES]
        self._active, self._level = self._active[frames:], self._level[frames:]
        self._start += frames * FRAME_SAMPLES

    def _is_short_recording(self) -> bool:
        vad = self._options.vad
        audible = bool((self._level > vad.min_floor_db + vad.min_threshold_db).any())
        short = self._start == 0 and len(self._active) <= to_frames(self._options.short_recording_seconds)
        return short and audible

    def _take_all(self) -> Clip:
        if not self._active.any():
            self._active[:] = True
        return self._take(0, _CutPoint.in_silence(len(self._active)))


def _quietest(level: Levels, first: int, last: int, width: int) -> int:
    """Return the middle of the `width` frames with the least sound between `first` and `last`."""
    sums = np.convolve(level[first:last], np.ones(width, np.float32), "valid")
    return first + int(np.argmin(sums)) + width // 2
