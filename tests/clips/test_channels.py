"""The channels of a recording are cut as if each were a recording of its own."""

from collections.abc import Iterator

import numpy as np

from tests.support.speech_corpus import compose
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE
from transcription.clips.channels import cut_channels
from transcription.clips.crosstalk import Samples
from transcription.clips.cutting import cut

ONE, OTHER = (np.frombuffer(compose((0.9, 1.5), None, 60, seed).pcm, np.int16)[: 60 * SAMPLE_RATE] for seed in (1, 2))


def in_blocks(samples: Samples, read: list[int]) -> Iterator[Samples]:
    for start in range(0, len(samples), SAMPLE_RATE):
        read.append(start)
        yield samples[start : start + SAMPLE_RATE]


def test_each_channel_has_the_clips_that_it_would_have_alone() -> None:
    clips = list(cut_channels(in_blocks(np.stack([ONE, OTHER], 1), []), 2))
    for channel, sound in enumerate([ONE, OTHER]):
        own = [clip for clip in clips if clip.channel == channel]
        alone = list(cut([sound.tobytes()]))
        assert [(clip.start, clip.pcm, clip.speech, clip.overlap) for clip in own] == [
            (clip.start, clip.pcm, clip.speech, clip.overlap) for clip in alone
        ]


def test_a_silent_channel_has_no_clips_and_does_not_hold_up_the_other() -> None:
    read: list[int] = []
    clips = cut_channels(in_blocks(np.stack([np.zeros_like(ONE), ONE], 1), read), 2)
    first = next(clips)
    assert len(read) <= 30, "seconds"
    assert {clip.channel for clip in [first, *clips]} == {1}


def test_a_part_of_a_clip_is_from_the_same_channel() -> None:
    clips = [clip for clip in cut_channels([np.stack([ONE, OTHER], 1)], 2) if clip.channel]
    assert {clip.between(clip.start, clip.start + BYTES_PER_SECOND).channel for clip in clips} == {1}
