"""What an answer covers of a clip, and what is sent again.

The service says `Success` also where it stopped at a pause, and only the end of what it recognised tells. What lies
behind that end and may be speech is sent again, as long as every answer gets further than the one before.
"""

from collections.abc import Iterator
from itertools import pairwise

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.cutting import BEFORE_SECONDS, Clip

# Sound that goes on for less than this after the last word is its own end: an echo, a breath, an early end of the
# word.
TAIL_SECONDS = 0.3
# Less sound than this behind a silence is a click: the shortest words (a, I, it) last longer.
LEAST_SPEECH_SECONDS = 0.15
# An answer that covers less has got nowhere; the same again would give the same. So a clip is sent 200 times at
# most, were the service to give one syllable each time.
LEAST_PROGRESS_SECONDS = 0.3

# A silence of this much of the length of that at which the service stopped may stop it too: it might have at a
# shorter one.
SAME_SILENCE_SHARE = 0.75
LEAST_SILENCE_SECONDS = 0.35  # no cuts at shorter ones: they may lie within a word.

BEFORE = round(BEFORE_SECONDS * SAMPLE_RATE)

Stretch = tuple[int, int]  # (start, end) in samples of the recording.


def remainder(clip: Clip, covered: int, spoken: int | None = None) -> tuple[Stretch, ...]:
    """The stretches of the clip that may be speech and that the answer left out; none where all is well.

    `covered` is the sample of the recording at which the answer ends (`Offset + Duration`), `spoken` that at which
    its last word ends, where the service gives word times. If there is no silence between the two, the words' end
    counts.
    """
    covered = _end_of_words(clip, covered, spoken)
    left = [(max(start, covered), end) for start, end in clip.voiced if end > covered]
    if left and left[0][0] == covered and left[0][1] - covered < TAIL_SECONDS * SAMPLE_RATE:
        del left[0]
    if sum(end - start for start, end in left) < LEAST_SPEECH_SECONDS * SAMPLE_RATE:
        return ()
    return tuple(left)


def rests(clip: Clip, covered: int, spoken: int | None = None) -> tuple[Clip, ...]:
    """The clips to send after an answer that covers `clip` up to `covered`: what is left, each from just before its
    sound.

    None where nothing is left, and where the answer has got nowhere: then `remainder` is a gap. Together always
    shorter than `clip` by `LEAST_PROGRESS_SECONDS`, so that sending rests comes to an end. Where the service stopped
    at a silence, it will at the next of that length too: what is left is cut at all of them, or else every silence
    would have all that follows it sent once more. Where it stopped within sound, the rest begins at the end of what
    it understood, which it knows better than any measure of loudness.
    """
    left = remainder(clip, covered, spoken)
    if not left:
        return ()
    covered = max(clip.start, _end_of_words(clip, covered, spoken))
    first = max(covered, min(left[0][0] - BEFORE, (covered + left[0][0]) // 2))
    if first - clip.start < LEAST_PROGRESS_SECONDS * SAMPLE_RATE:
        return ()
    silence = max((left[0][0] - covered) * SAME_SILENCE_SHARE, LEAST_SILENCE_SECONDS * SAMPLE_RATE)
    pieces = list(_split(left, silence))
    ends = [(before[-1][1] + after[0][0]) // 2 for before, after in pairwise(pieces)]
    starts = [first, *ends]
    return tuple(
        Clip(start, clip.pcm[(start - clip.start) * 2 : (end - clip.start) * 2], piece)
        for start, end, piece in zip(starts, [*ends, clip.end], pieces, strict=True)
    )


def _split(stretches: tuple[Stretch, ...], silence: float) -> Iterator[tuple[Stretch, ...]]:
    """Groups of stretches between which there is silence of that many samples."""
    group = [stretches[0]]
    for stretch in stretches[1:]:
        if stretch[0] - group[-1][1] >= silence:
            yield tuple(group)
            group = []
        group.append(stretch)
    yield tuple(group)


def _end_of_words(clip: Clip, covered: int, spoken: int | None) -> int:
    """An answer may end in the middle of a word that it does not tell; its last word's end is the better place then."""
    if spoken is None or spoken >= covered:
        return covered
    within = [start for start, end in clip.voiced if start <= covered < end]
    return max(spoken, within[0]) if within else covered
