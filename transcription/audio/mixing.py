"""Decoded frames of any rate and channel count → 16 kHz mono samples.

libswresample resamples, but does not mix: its own mixing to mono adds +3 dB to floating point audio and clips, drops a
third channel of unnamed ones as if it were for bass, and turns a recording whose channels are inverted against each
other into silence.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from av import AudioFrame
from av.audio.resampler import AudioResampler

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

BLOCK_SAMPLES = SAMPLE_RATE  # mixed at a time: one second, long enough to tell whether channels cancel
RAMP_SAMPLES = SAMPLE_RATE // 100  # from one mixture to the next, so that nothing clicks
DEAD = 1e-5  # of the loudest channel's energy (-50 dB): a channel that nothing is connected to
CANCELS = 0.4  # of the energy that channels without anything in common would have together
CENTRE_WEIGHT = 2.0  # film sound has its speech there
_SILENCE = bytes(BLOCK_SAMPLES * SAMPLE_BYTES)

Samples = npt.NDArray[np.float32]


class Converter:
    """For frames of one kind; a frame of another kind needs another Converter.

    FFmpegError, ValueError: libav cannot convert such frames.
    """

    def __init__(self, frame: AudioFrame) -> None:
        self._kind = _kind(frame)
        self._resampler = AudioResampler(
            format="s16", layout=frame.layout.name, rate=SAMPLE_RATE, frame_size=BLOCK_SAMPLES
        )
        channels = frame.layout.nb_channels
        self._mixer = Mixer(_weights(frame)) if channels > 1 else None
        self._sample_bytes = channels * SAMPLE_BYTES

    def takes(self, frame: AudioFrame) -> bool:
        return _kind(frame) == self._kind

    def convert(self, frame: AudioFrame | None) -> Iterator[bytes]:
        """The samples that are ready now, some time after they went in; None: all the rest."""
        for ready in self._resampler.resample(frame):
            packed = bytes(ready.planes[0])[: ready.samples * self._sample_bytes]
            yield self._mixer.mix(packed) if self._mixer else packed


class Mixer:
    """Channels → one: the weighted mean of those that are not dead, or the loudest where that would cancel.

    Decided anew for each block on its own sound, since a speaker may turn up in another channel at any time.
    """

    def __init__(self, weights: list[float]) -> None:
        self._weights = np.array(weights, np.float32)
        self._last: Samples | None = None

    def mix(self, packed: bytes) -> bytes:
        """s16 samples of all channels, interleaved → s16 samples of one."""
        samples = np.frombuffer(packed, np.int16).reshape(-1, len(self._weights)).astype(np.float32)
        shares = self._shares(samples)
        mixed = samples @ shares
        if self._last is not None and not np.array_equal(self._last, shares):
            ramp = np.linspace(1, 0, RAMP_SAMPLES, dtype=np.float32)[: len(mixed)]
            mixed[: len(ramp)] += ramp * (samples[: len(ramp)] @ (self._last - shares))
        self._last = shares
        return bytes(np.rint(mixed).clip(-32768, 32767).astype(np.int16))

    def _shares(self, samples: Samples) -> Samples:
        energies = np.einsum("ij,ij->j", samples, samples)
        loudest = int(energies.argmax())
        if not energies[loudest]:
            return self._weights / self._weights.sum() if self._last is None else self._last
        alive: Samples = self._weights * (energies > DEAD * energies[loudest])
        if alive.any():
            alive /= alive.sum()
            mixed = samples @ alive
            if mixed @ mixed >= CANCELS * float(alive**2 @ energies):
                return alive
        alone: Samples = np.eye(1, len(alive), loudest, np.float32)[0]
        return alone


def silence(samples: int) -> Iterator[bytes]:
    """In blocks, however long it is."""
    for _ in range(samples // BLOCK_SAMPLES):
        yield _SILENCE
    if rest := samples % BLOCK_SAMPLES:
        yield _SILENCE[: rest * SAMPLE_BYTES]


def _kind(frame: AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _weights(frame: AudioFrame) -> list[float]:
    """Of each channel. Only layouts that say so have a centre, and a channel for bass (LFE), which has no speech."""
    names = [channel.name for channel in frame.layout.channels]
    if len(names) < 3 or "FC" not in names:
        return [1.0] * len(names)
    return [CENTRE_WEIGHT if name == "FC" else 0.0 if name == "LFE" else 1.0 for name in names]
