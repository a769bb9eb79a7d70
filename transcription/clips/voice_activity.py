"""Where in a recording somebody may be speaking.

Kept apart from the cutting because it answers another question, and errs on purpose to one side: what is called
silence is never sent, so words in it are lost; what is called sound only costs. A fixed threshold fails on real
recordings, and so do the voice detectors at hand (webrtcvad and pocketsphinx's found 0 to 11 of 25 pauses under white
noise). What works is energy against a noise floor that follows the recording, in bands, because noise seldom covers
all of them alike: hum leaves the upper ones free, hiss the lower.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transcription.audio.pcm import SAMPLE_RATE

FRAME = 320  # samples of one frame: 20 ms, shorter than speech sounds, longer than a period of the deepest voice.
FRAMES_PER_SECOND = SAMPLE_RATE // FRAME
STEP = 5  # frames of one step (100 ms), in which the noise is followed.
STEPS_PER_SECOND = FRAMES_PER_SECOND / STEP

# Decided at once, with as much of the recording on either side in view. Larger: less CPU, more memory.
BLOCK_SECONDS = 10

# A sound that never falls for so long is noise: speech stops between words, or in its consonants.
PLATEAU_SECONDS = 3.0
CALM_SECONDS = 0.4
# From the calmest stretches of this length, the calmest 1 in 20, is learnt how far the noise itself goes up and
# down.
CALM_PERCENT = 5
CALM_FACTOR = 2.0  # what the noise does at other times, as a multiple: 1.3 for hiss, 2 for many voices at once.
# Above the floor, which is a minimum over seconds: steady noise rises 3 dB above it, and vowels stay above this
# where speech as a whole is 10 dB louder than the noise.
MIN_THRESHOLD_DB = 6.0
MAX_THRESHOLD_DB = 12.0  # speech only 10 dB above the noise would be lost with more.
MAX_SHARE = 0.45  # of the distance from the floor to loud speech.
# Where even the calmest stretches are livelier, they are likely to be speech, and nothing is known of the noise.
MAX_CALM_DB = 9.0
RELEASE_DB = 3.0  # sound that has begun lasts until it is this much below the threshold: word ends fade.
# What is this much weaker than the loud parts around is no speech, however silent the room: echoes, breath.
RANGE_DB = 50.0
LOUD_PERCENT = 95
HIDING_DB = 26.0
# Sound that rises less than this above the floor has so much of its beginning and end hidden in the noise: a weak
# consonant.
HIDDEN_SECONDS = 0.14
# An RMS of one step of 16 bits: what is as faint as rounding is silence, next to digital silence too.
LEAST_FLOOR_DB = 0.0
# dB above the threshold, summed over the frames of a burst. Less is a chance peak of the noise; a syllable has 50
# and more.
LEAST_BURST = 12.0
BRIDGED_SECONDS = 0.1  # shorter breaks between two sounds are no silence: stop consonants.

Samples = npt.NDArray[np.int16]
Levels = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class Sound(NamedTuple):
    """Some seconds of a recording: the samples, and for each 20 ms frame whether there is sound, and its level in
    dB.
    """

    pcm: Samples
    active: Flags
    level: Levels


class _Block(NamedTuple):
    pcm: Samples
    bands: Levels  # shape (3, frames), dB, averaged over 60 ms
    level: Levels  # shape (frames,), dB


def measured(blocks: Iterable[bytes]) -> Iterator[Sound]:
    """16 kHz mono s16le in blocks of any size → the same samples, in order, with what is heard in them.

    Holds three blocks of `BLOCK_SECONDS`. The result does not depend on how the bytes were divided. A last frame that
    is not full counts as one.
    """
    held: list[_Block] = []
    at = 0
    for pcm in _whole_blocks(blocks):
        held.append(_measure(pcm))
        if len(held) - at > 1:
            yield _judge(held, at)
            held, at = held[at:], 1
    if held[at:]:
        yield _judge(held, at)


def spans(flags: Flags) -> list[tuple[int, int]]:
    """The stretches in which `flags` is set: (first, last + 1)."""
    framed = np.zeros(len(flags) + 2, np.bool_)
    framed[1:-1] = flags
    edges = (framed[1:] != framed[:-1]).nonzero()[0].tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def frame_levels(pcm: Samples) -> Levels:
    """Level of each 20 ms frame in dB, without what lies below 250 Hz; 0 is an RMS of one step of 16 bits."""
    return _decibels(_band_power(pcm).sum(axis=0, dtype=np.float32))


def _whole_blocks(blocks: Iterable[bytes]) -> Iterator[Samples]:
    size = BLOCK_SECONDS * SAMPLE_RATE * 2
    pending = bytearray()
    for block in blocks:
        rest = memoryview(block)
        while len(rest):
            wanted = size - len(pending)
            pending += rest[:wanted]
            rest = rest[wanted:]
            if len(pending) == size:
                yield np.frombuffer(bytes(pending), "<i2")
                pending.clear()
    if len(pending) > 1:
        yield np.frombuffer(bytes(pending[: len(pending) // 2 * 2]), "<i2")


def _measure(pcm: Samples) -> _Block:
    power = _band_power(pcm)
    around = np.concatenate((power[:, :1], power, power[:, -1:]), axis=1)
    smooth = (around[:, :-2] + around[:, 1:-1] + around[:, 2:]) / np.float32(3)
    return _Block(pcm, _decibels(smooth), _decibels(power.sum(axis=0, dtype=np.float32)))


def _band_power(pcm: Samples) -> Levels:
    """Mean power of each frame in 0.25-1, 1-4 and 4-8 kHz; shape (3, frames).

    Octaves by repeated sums and differences of neighbours (Haar), half the cost of a Fourier transform. What is left
    below 250 Hz, hum and DC offset, is dropped.
    """
    frames = -(-len(pcm) // FRAME)
    low = np.empty(frames * FRAME, np.float32)
    low[: len(pcm)] = pcm
    low[len(pcm) :] = pcm[-1:]
    power = np.zeros((3, frames), np.float32)
    for octave, band in enumerate((2, 1, 1, 0, 0), start=1):
        even, odd = low[0::2], low[1::2]
        high = (even - odd).reshape(frames, -1)
        low = even + odd
        power[band] += np.einsum("ij,ij->i", high, high) / np.float32(FRAME * 2**octave)
    return power


def _decibels(power: Levels) -> Levels:
    return 10 * np.log10(np.maximum(power, np.float32(0.1)))


def _judge(held: list[_Block], at: int) -> Sound:
    first = sum(len(block.level) for block in held[:at])
    now = held[at]
    bands = np.concatenate([block.bands for block in held], axis=1)
    level = np.concatenate([block.level for block in held])
    return Sound(now.pcm, _activity(bands, level)[first : first + len(now.level)], now.level)


def _activity(bands: Levels, level: Levels) -> Flags:
    """Sound in any band counts, so that hiss does not hide vowels nor hum consonants."""
    above = bands - _floor(bands)
    evidence = (above - _threshold(above)).max(axis=0)
    evidence = np.minimum(evidence, level - (_percentile(level, LOUD_PERCENT) - RANGE_DB))
    weight = np.concatenate(([0.0], np.maximum(evidence, 0).cumsum()))
    strength = above.max(axis=0)
    hidden = round(HIDDEN_SECONDS * FRAMES_PER_SECOND)
    active = np.zeros(len(level), np.bool_)
    for first, last in spans(evidence > -RELEASE_DB):
        if weight[last] - weight[first] >= LEAST_BURST:
            margin = hidden if strength[first:last].max() < HIDING_DB else 0
            active[max(0, first - margin) : last + margin] = True
    for first, last in spans(~active):
        if last - first < BRIDGED_SECONDS * FRAMES_PER_SECOND and first > 0 and last < len(level):
            active[first:last] = True
    return active


def _floor(bands: Levels) -> Levels:
    """The level of the noise under everything, followed up and down: for each frame, the highest level that lasts for
    `PLATEAU_SECONDS` around it without falling below (a morphological opening). Unlike a minimum over the past it knows
    of noise that begins or grows as soon as it does, and needs no silence at the recording's start.
    """
    low = _steps(bands, np.minimum)
    width = min(low.shape[1], round(PLATEAU_SECONDS * STEPS_PER_SECOND))
    lasting = _sliding(low, width, np.minimum)
    edge = np.full((len(low), width - 1), -np.inf, np.float32)
    opened = _sliding(np.concatenate((edge, lasting, edge), axis=1), width, np.maximum)
    return np.maximum(np.repeat(opened, STEP, axis=1)[:, : bands.shape[1]], np.float32(LEAST_FLOOR_DB))


def _threshold(above: Levels) -> Levels:
    """How far above the floor speech begins, for each band: above what the noise does in its calmest stretches, but
    not so far that little is left of speech that is hardly louder than the noise.
    """
    high = _steps(above, np.maximum)
    peaks = _sliding(high, min(high.shape[1], round(CALM_SECONDS * STEPS_PER_SECOND)), np.maximum)
    calm = _percentile(peaks, CALM_PERCENT)
    known = np.where(calm > MAX_CALM_DB, 0, CALM_FACTOR * calm)
    highest = np.minimum(MAX_THRESHOLD_DB, MAX_SHARE * _percentile(above, LOUD_PERCENT))
    threshold: Levels = np.maximum(np.minimum(known, highest), MIN_THRESHOLD_DB).astype(np.float32)
    return threshold.reshape(-1, 1)


def _steps(values: Levels, reduce: np.ufunc) -> Levels:
    """`reduce` (minimum or maximum) over each `STEP` frames."""
    return np.asarray(reduce.reduceat(values, np.arange(0, values.shape[1], STEP), axis=1))


def _sliding(values: Levels, width: int, reduce: np.ufunc) -> Levels:
    """`reduce` (minimum or maximum) over every window of `width` columns, by windows of twice the width each time."""
    done = 1
    while done < width:
        shift = min(done, width - done)
        values = np.asarray(reduce(values[:, :-shift], values[:, shift:]))
        done += shift
    return values


def _percentile(values: Levels, percent: int) -> Levels:
    """Of each row; without the interpolation that makes NumPy's own slow on short rows."""
    place = values.shape[-1] * percent // 100
    return np.partition(values, place)[..., place]
