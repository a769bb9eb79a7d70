"""Cuts the channels of a recording side by side, so that none of them has to be held while another one is read."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import tee, zip_longest

from transcription.clips.clip import Clip
from transcription.clips.crosstalk import Samples
from transcription.clips.cutting import cut_in_steps


def cut_channels(blocks: Iterable[Samples], channels: int) -> Iterator[Clip]:
    """Yield the clips of all channels, each as soon as its end is decided. See `cut`."""
    copies = tee(blocks, channels)
    steps = [cut_in_steps(_one_channel(copy, channel)) for channel, copy in enumerate(copies)]
    for step in zip_longest(*steps, fillvalue=[]):
        for channel, clips in enumerate(step):
            yield from (replace(clip, channel=channel) for clip in clips)


def _one_channel(blocks: Iterable[Samples], channel: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[:, channel].tobytes()
