"""Compares an answer with its clip, to find speech that it leaves out and the clips to resend.

The service says `Success` even where it stopped at a pause. Only the end of the recognised audio shows that. Possible
speech after that end is resent, as long as every answer gets further than the one before.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.clip import Clip, Stretch, clipped, total_length
from transcription.clips.cutting import CUTTING_DEFAULTS

TAIL_SECONDS = 0.3  # shorter sound right after the last word belongs to it: an echo, a breath, or the word's end
MIN_SPEECH_SECONDS = 0.15  # less sound after a silence is a click: the shortest words (a, I, it) last longer
MIN_PROGRESS_SECONDS = 0.3  # with less, resending would change nothing; so a clip is sent 200 times at most
MIN_SILENCE_SECONDS = 0.35  # shorter silence may be within a word, so nothing is cut there
SAME_SILENCE_SHARE = 0.75  # of the silence that stopped the service; one that much shorter might stop it too


class Coverage(NamedTuple):
    """The sound that an answer leaves out of its clip, and the clips to resend.

    uncovered: the stretches that may be speech and that the answer does not cover; empty if it covers all of them.
    resend: the clips that hold them, each from just before its sound; empty if the answer got nowhere. Together they
    are shorter than the clip by `MIN_PROGRESS_SECONDS`, so resending ends.
    """

    uncovered: tuple[Stretch, ...]
    resend: tuple[Clip, ...]


def measure_coverage(clip: Clip, answer_end: int, words_end: int | None = None) -> Coverage:
    """Compare an answer with the sound of its clip. Positions are samples of the recording.

    The answer says that it ends at `answer_end` (`Offset + Duration`), and its last word at `words_end`, where the
    service gives word times. If there is no silence between the two, `words_end` counts.
    """
    covered_end = _covered_end(clip, answer_end, words_end)
    uncovered = _uncovered(clip, covered_end)
    return Coverage(uncovered, tuple(_clips_to_resend(clip, covered_end, uncovered)))


def _covered_end(clip: Clip, answer_end: int, words_end: int | None) -> int:
    """Return the end of the covered audio. An answer may end in the middle of a word that its text leaves out."""
    if words_end is None or words_end >= answer_end:
        return answer_end
    sound_starts = [start for start, end in clip.voiced if start <= answer_end < end]
    return max(words_end, sound_starts[0]) if sound_starts else answer_end


def _uncovered(clip: Clip, covered_end: int) -> tuple[Stretch, ...]:
    uncovered = clipped(clip.voiced, covered_end, clip.end)
    if uncovered and uncovered[0][0] == covered_end and total_length(uncovered[:1]) < TAIL_SECONDS * SAMPLE_RATE:
        uncovered = uncovered[1:]
    return uncovered if total_length(uncovered) >= MIN_SPEECH_SECONDS * SAMPLE_RATE else ()


def _clips_to_resend(clip: Clip, covered_end: int, uncovered: tuple[Stretch, ...]) -> Iterator[Clip]:
    """Yield clips that hold the uncovered sound. Yields none if the answer got nowhere.

    A service that stopped at a silence will also stop at the next one of that length. So the clips are cut at all of
    them; otherwise everything after each silence would be sent once more. Where the service stopped within sound, the
    first clip begins where its words end: the service knows that better than any measure of loudness.
    """
    if not uncovered:
        return
    covered_end = max(clip.start, covered_end)
    sound_start = uncovered[0][0]
    lead = round(CUTTING_DEFAULTS.before_seconds * SAMPLE_RATE)
    start = max(covered_end, min(sound_start - lead, (covered_end + sound_start) // 2))
    if start - clip.start < MIN_PROGRESS_SECONDS * SAMPLE_RATE:
        return
    silence = max((sound_start - covered_end) * SAME_SILENCE_SHARE, MIN_SILENCE_SECONDS * SAMPLE_RATE)
    groups = list(_split_at_silences(uncovered, silence))
    middles = [(before[-1][1] + after[0][0]) // 2 for before, after in pairwise(groups)]
    bounds = pairwise([start, *middles, clip.end])
    for (clip_start, clip_end), group in zip(bounds, groups, strict=True):
        yield replace(clip.between(clip_start, clip_end), voiced=group)


def _split_at_silences(stretches: tuple[Stretch, ...], silence: float) -> Iterator[tuple[Stretch, ...]]:
    """Yield groups of stretches. Between two groups there are at least `silence` samples of silence."""
    group = [stretches[0]]
    for stretch in stretches[1:]:
        if stretch[0] - group[-1][1] >= silence:
            yield tuple(group)
            group = []
        group.append(stretch)
    yield tuple(group)
