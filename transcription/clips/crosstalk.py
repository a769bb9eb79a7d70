"""Leaves each sound to one of the channels, where several hold it.

A telephone or a microphone picks up a little of the other side. That is the other channel's sound: faint, and alike in
shape, perhaps some milliseconds later. Transcribed, it would come out twice. So would a recording whose channels are
all the same. What counts is how alike the channels are. A voice that is merely faint stays, even while another speaks.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

WINDOW_SAMPLES = SAMPLE_RATE // 10  # decided at once
NEIGHBOURS = 2  # windows on each side that are compared too: in less than half a second, two vowels may look alike
RAMP_SAMPLES = SAMPLE_RATE // 100  # of a change, so that it does not click
MOST_DELAY_SAMPLES = SAMPLE_RATE // 20  # of the other's sound; sound takes 50 ms for 17 m, and a telephone as long
AUDIBLE = 10.0  # RMS in steps of 16 bits, -70 dB; fainter sound is never speech
FAINT = 0.01  # of the other channel's power, -20 dB
ALIKE = 0.7  # correlation with the other channel at the best delay; two voices stay below 0.5
SAME = 0.95  # correlation without any delay; two channels of one lossy file have 0.97
LOUDER = 2.0  # times the power; otherwise the first of two channels with the same sound keeps it
QUIET_WINDOWS = 100  # 10 s; the other's sound is lowered to the quietest window among these

Samples = npt.NDArray[np.int16]  # shape (samples, channels)
Levels = npt.NDArray[np.float32]


class Crosstalk:
    """Lowers what a channel holds of another channel's sound.

    heard: the channels that had audible sound of their own.
    repeated: True if two channels had the same sound at some time, about equally loud.
    """

    def __init__(self, channels: int) -> None:
        self.heard: set[int] = set()
        self.repeated = False
        self._channels = channels
        self._powers = deque([np.zeros(channels, np.float32)], maxlen=QUIET_WINDOWS)
        self._last_gains = np.ones(channels, np.float32)

    def remove(self, blocks: Iterable[bytes]) -> Iterator[Samples]:
        """Yield the interleaved s16le samples of `blocks`, with each sound in one channel only."""
        none = np.zeros((0, self._channels), np.int16)
        view = deque([none] * NEIGHBOURS, maxlen=2 * NEIGHBOURS + 1)
        for window in chain(self._windows(blocks), [none] * NEIGHBOURS):
            view.append(window)
            if len(view) == view.maxlen and len(view[NEIGHBOURS]):
                yield self._decide(view[NEIGHBOURS], np.concatenate(view).astype(np.float32))

    def _windows(self, blocks: Iterable[bytes]) -> Iterator[Samples]:
        """Yield windows of equal length; the last may be shorter."""
        size = WINDOW_SAMPLES * self._channels * SAMPLE_BYTES
        pending = bytearray()
        for block in blocks:
            pending += block
            full = len(pending) - len(pending) % size
            for start in range(0, full, size):
                yield self._samples(pending[start : start + size])
            del pending[:full]
        if pending:
            yield self._samples(pending)

    def _samples(self, interleaved: bytearray) -> Samples:
        frames = len(interleaved) // (self._channels * SAMPLE_BYTES)
        samples = np.frombuffer(bytes(interleaved), "<i2", frames * self._channels)
        return samples.reshape(frames, self._channels)

    def _decide(self, window: Samples, around: Levels) -> Samples:
        sound = window.astype(np.float32)
        power = np.einsum("ij,ij->j", sound, sound) / np.float32(len(sound))
        recent = np.maximum(power, self._powers[-1])
        self._powers.append(power)
        gains = np.ones(self._channels, np.float32)
        for channel in np.flatnonzero(power > AUDIBLE**2):
            if self._belongs_to_another(int(channel), power, recent, around):
                gains[channel] = np.sqrt(np.min(self._powers, axis=0)[channel] / power[channel])
            else:
                self.heard.add(int(channel))
        if (gains == 1).all() and (self._last_gains == 1).all():
            return window
        ramp = np.linspace(0, 1, RAMP_SAMPLES, dtype=np.float32)[: len(sound), np.newaxis]
        sound[: len(ramp)] *= self._last_gains + ramp * (gains - self._last_gains)
        sound[len(ramp) :] *= gains
        self._last_gains = gains
        return np.rint(sound).astype(np.int16)

    def _belongs_to_another(self, channel: int, power: Levels, recent: Levels, around: Levels) -> bool:
        """Tell whether another channel has this sound. `recent` is the power before a delay of the other's sound."""
        own = around[:, channel]
        for other in np.flatnonzero(recent > AUDIBLE**2):
            if other == channel:
                continue
            theirs = around[:, other]
            faint = power[channel] <= FAINT * recent[other]
            if _correlation(own, theirs) >= SAME:
                if _goes_first(int(other), channel, power):
                    self.repeated = self.repeated or not faint
                    return True
            elif faint and _correlation(own, theirs, MOST_DELAY_SAMPLES) >= ALIKE:
                return True
        return False


def _goes_first(one: int, other: int, power: Levels) -> bool:
    """Tell whether the first channel keeps a sound that both have: the clearly louder one, or else the first."""
    if one > other:
        return bool(power[one] > LOUDER * power[other])
    return bool(power[one] * LOUDER >= power[other])


def _correlation(one: Levels, other: Levels, most_delay: int = 0) -> float:
    """Return the normalised correlation of two sounds, at the delay within `most_delay` that gives the highest."""
    energy = float(np.sqrt((one @ one) * (other @ other)))
    if not energy:
        return 0.0
    if not most_delay:
        return abs(float(one @ other)) / energy
    size = 1 << (len(one) + most_delay).bit_length()
    products = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size).conj(), size)
    return float(max(np.abs(products[: most_delay + 1]).max(), np.abs(products[-most_delay:]).max())) / energy
