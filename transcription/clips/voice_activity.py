"""Voice activity detection (VAD): which parts of a recording may be speech.

It errs to one side on purpose. What it calls silence is never sent, so words in it would be lost. What it calls sound
only costs money. A fixed threshold fails on real recordings. So do the detectors of webrtcvad and pocketsphinx, which
found 0 to 11 of 25 pauses under white noise. What works is energy above a noise floor that follows the recording. It is
measured in three bands, because noise seldom covers all alike: hum leaves the upper ones free, hiss the lower.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE

FRAME_SAMPLES = 320  # 20 ms: shorter than speech sounds, longer than a period of the deepest voice
FRAMES_PER_SECOND = SAMPLE_RATE // FRAME_SAMPLES
STEP_FRAMES = 5  # 100 ms: the noise is followed in steps of this length
STEPS_PER_SECOND = FRAMES_PER_SECOND / STEP_FRAMES

Samples = npt.NDArray[np.int16]
Levels = npt.NDArray[np.float32]  # dB, or power
Flags = npt.NDArray[np.bool_]


def to_frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)


@dataclass(frozen=True)
class VadOptions:
    """The tuning of the detector. Times are in seconds, levels in dB; 0 dB is an RMS of one step of 16 bits."""

    block_seconds: int = 10  # decided at once, with as much in view on either side; more: less CPU, more memory

    # The noise floor: the highest level that lasts.
    plateau_seconds: float = 3.0  # longer sound that never falls is noise: speech stops between words or in consonants
    min_floor_db: float = 0.0  # a level as faint as rounding noise is silence, even next to digital silence

    # The threshold above the floor, from how far the noise itself rises in the calmest stretches.
    calm_seconds: float = 0.4  # length of these stretches
    calm_percent: int = 5  # percentile of all stretches that counts as calm
    calm_factor: float = 2.0  # peaks of the noise, relative to calm stretches: 1.3 for hiss, 2 for many voices at once
    max_calm_db: float = 9.0  # livelier stretches are likely to be speech, which says nothing about the noise
    min_threshold_db: float = 6.0  # steady noise rises 3 dB; vowels pass 6 dB in speech 10 dB louder than the noise
    max_threshold_db: float = 12.0  # with more, speech only 10 dB louder than the noise would be lost
    max_threshold_share: float = 0.45  # of the distance from the floor to loud speech
    loud_percent: int = 95  # percentile of the levels that counts as loud speech
    range_db: float = 50.0  # sound this much weaker than loud speech is echo or breath, however silent the room

    # The bursts of sound above the threshold.
    release_db: float = 3.0  # a burst lasts until it is this much below the threshold: word ends fade
    min_burst_db: float = 12.0  # sum over its frames; less is a chance peak of the noise, a syllable has 50 and more
    hiding_db: float = 26.0  # noise hides the edges of a burst that rises less than this above the floor
    hidden_seconds: float = 0.14  # length of a hidden edge: a weak consonant
    bridged_seconds: float = 0.1  # a shorter break between two bursts is no silence: stop consonants

    @property
    def plateau_steps(self) -> int:
        return round(self.plateau_seconds * STEPS_PER_SECOND)

    @property
    def calm_steps(self) -> int:
        return round(self.calm_seconds * STEPS_PER_SECOND)

    @property
    def hidden_frames(self) -> int:
        return to_frames(self.hidden_seconds)

    @property
    def bridged_frames(self) -> int:
        return to_frames(self.bridged_seconds)


VAD_DEFAULTS = VadOptions()


class Activity(NamedTuple):
    """Some seconds of a recording, and for each frame whether it may be speech and its level."""

    pcm: Samples
    active: Flags
    level: Levels


class _Measured(NamedTuple):
    """The levels of one block."""

    pcm: Samples
    bands: Levels  # shape (3, frames), averaged over 60 ms
    level: Levels  # shape (frames,)


_Neighbour = _Measured | None


def detect_activity(blocks: Iterable[bytes], options: VadOptions = VAD_DEFAULTS) -> Iterator[Activity]:
    """Yield the same samples, in order, and which of their frames may be speech.

    `blocks` is 16 kHz mono s16le. The result does not depend on their sizes. A last frame that is not full counts as
    one. Holds three blocks of `block_seconds`.
    """
    equal_blocks = _equal_blocks(blocks, options.block_seconds * BYTES_PER_SECOND)
    measured = map(_measure, equal_blocks)
    for before, block, after in _with_neighbours(measured):
        yield _decide(before, block, after, options)


def spans(flags: Flags) -> list[tuple[int, int]]:
    """Return the stretches in which `flags` is set: (first, last + 1)."""
    framed = np.zeros(len(flags) + 2, np.bool_)
    framed[1:-1] = flags
    edges = (framed[1:] != framed[:-1]).nonzero()[0].tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _equal_blocks(blocks: Iterable[bytes], size: int) -> Iterator[Samples]:
    """Yield all samples in blocks of `size` bytes; the last may be shorter. Half a sample at the end is dropped."""
    pending = bytearray()
    for block in blocks:
        unread = memoryview(block)
        while len(unread):
            wanted = size - len(pending)
            pending += unread[:wanted]
            unread = unread[wanted:]
            if len(pending) == size:
                yield np.frombuffer(bytes(pending), "<i2")
                pending.clear()
    if samples := len(pending) // SAMPLE_BYTES:
        yield np.frombuffer(bytes(pending), "<i2", samples)


def _measure(pcm: Samples) -> _Measured:
    power = _band_power(pcm)
    padded = np.concatenate((power[:, :1], power, power[:, -1:]), axis=1)
    smooth = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / np.float32(3)
    return _Measured(pcm, _decibels(smooth), _decibels(power.sum(axis=0, dtype=np.float32)))


def _band_power(pcm: Samples) -> Levels:
    """Return the mean power of each frame in 0.25-1, 1-4 and 4-8 kHz; shape (3, frames).

    Splits octaves by repeated sums and differences of neighbours (Haar), at half the cost of a Fourier transform. Drops
    what is below 250 Hz: hum and DC offset.
    """
    frames = -(-len(pcm) // FRAME_SAMPLES)
    low = np.empty(frames * FRAME_SAMPLES, np.float32)
    low[: len(pcm)] = pcm
    low[len(pcm) :] = pcm[-1:]
    power = np.zeros((3, frames), np.float32)
    for octave, band in enumerate((2, 1, 1, 0, 0), start=1):
        even, odd = low[0::2], low[1::2]
        high = (even - odd).reshape(frames, -1)
        low = even + odd
        power[band] += np.einsum("ij,ij->i", high, high) / np.float32(FRAME_SAMPLES * 2**octave)
    return power


def _decibels(power: Levels) -> Levels:
    return 10 * np.log10(np.maximum(power, np.float32(0.1)))


def _with_neighbours(blocks: Iterable[_Measured]) -> Iterator[tuple[_Neighbour, _Measured, _Neighbour]]:
    """Yield each block between the one before it and the one after it. There is none at the recording's ends."""
    before: _Neighbour = None
    block: _Neighbour = None
    for after in chain(blocks, [None]):
        if block is not None:
            yield before, block, after
        before, block = block, after


def _decide(before: _Neighbour, block: _Measured, after: _Neighbour, options: VadOptions) -> Activity:
    """Decide which frames of `block` may be speech. The blocks around it show more of the noise."""
    view = [near for near in (before, block, after) if near is not None]
    bands = np.concatenate([near.bands for near in view], axis=1)
    level = np.concatenate([near.level for near in view])
    first = len(before.level) if before else 0
    return Activity(block.pcm, _active(bands, level, options)[first : first + len(block.level)], block.level)


def _active(bands: Levels, level: Levels, options: VadOptions) -> Flags:
    """Return the frames with sound in any band, so that hiss hides no vowels and hum no consonants."""
    above_floor = bands - _noise_floor(bands, options)
    evidence = (above_floor - _threshold(above_floor, options)).max(axis=0)
    evidence = np.minimum(evidence, level - (_percentile(level, options.loud_percent) - options.range_db))
    total = np.concatenate(([0.0], np.maximum(evidence, 0).cumsum()))
    strength = above_floor.max(axis=0)
    active = np.zeros(len(level), np.bool_)
    for first, last in spans(evidence > -options.release_db):
        if total[last] - total[first] >= options.min_burst_db:
            margin = options.hidden_frames if strength[first:last].max() < options.hiding_db else 0
            active[max(0, first - margin) : last + margin] = True
    for first, last in spans(~active):
        if last - first < options.bridged_frames and first > 0 and last < len(level):
            active[first:last] = True
    return active


def _noise_floor(bands: Levels, options: VadOptions) -> Levels:
    """Return the level of the noise under everything, for each band and frame.

    It is the highest level that lasts for `plateau_seconds` around the frame: a morphological opening. Unlike a minimum
    over the past, it follows noise that begins or grows at once, and needs no silence at the recording's start.
    """
    low = _by_steps(bands, np.minimum)
    width = min(low.shape[1], options.plateau_steps)
    lasting = _sliding(low, width, np.minimum)
    edge = np.full((len(low), width - 1), -np.inf, np.float32)
    opened = _sliding(np.concatenate((edge, lasting, edge), axis=1), width, np.maximum)
    return np.maximum(np.repeat(opened, STEP_FRAMES, axis=1)[:, : bands.shape[1]], np.float32(options.min_floor_db))


def _threshold(above_floor: Levels, options: VadOptions) -> Levels:
    """Return how far above the floor speech begins, for each band; shape (3, 1).

    That is above the peaks of the noise, but not so far that speech hardly louder than the noise is lost.
    """
    high = _by_steps(above_floor, np.maximum)
    peaks = _sliding(high, min(high.shape[1], options.calm_steps), np.maximum)
    calm = _percentile(peaks, options.calm_percent)
    noise = np.where(calm > options.max_calm_db, 0, options.calm_factor * calm)
    loud = _percentile(above_floor, options.loud_percent)
    highest = np.minimum(options.max_threshold_db, options.max_threshold_share * loud)
    threshold: Levels = np.maximum(np.minimum(noise, highest), options.min_threshold_db).astype(np.float32)
    return threshold.reshape(-1, 1)


def _by_steps(values: Levels, reduce: np.ufunc) -> Levels:
    """Return the minimum or maximum (`reduce`) of each step."""
    return np.asarray(reduce.reduceat(values, np.arange(0, values.shape[1], STEP_FRAMES), axis=1))


def _sliding(values: Levels, width: int, reduce: np.ufunc) -> Levels:
    """Return the minimum or maximum (`reduce`) of every window of `width` columns. Doubles the window each time."""
    covered = 1
    while covered < width:
        shift = min(covered, width - covered)
        values = np.asarray(reduce(values[:, :-shift], values[:, shift:]))
        covered += shift
    return values


def _percentile(values: Levels, percent: int) -> Levels:
    """Return the percentile of each row, without the interpolation that makes NumPy's own slow on short rows."""
    place = values.shape[-1] * percent // 100
    return np.partition(values, place)[..., place]
