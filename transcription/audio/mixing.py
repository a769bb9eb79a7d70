"""Converts decoded frames of any rate and channel count to 16 kHz mono samples.

libswresample resamples, but does not mix. Its own mixing to mono adds 3 dB to floating-point audio and clips it, drops
the third of three unnamed channels as if it were for bass, and turns a recording whose channels are inverted against
each other into silence.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from av import AudioFrame
from av.audio.resampler import AudioResampler

from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE

BLOCK_SAMPLES = SAMPLE_RATE  # mixed at a time; a second is long enough to tell whether channels cancel
RAMP_SAMPLES = SAMPLE_RATE // 100  # of a change between two mixtures, so that it does not click
DEAD_SHARE = 1e-5  # of the loudest channel's energy (-50 dB); below it, nothing is connected to a channel
CANCELLED_SHARE = 0.4  # of the energy that unrelated channels have when mixed; below it, they cancel each other
CENTRE_WEIGHT = 2.0  # film sound has its speech in the centre
SILENT_SECOND = bytes(BYTES_PER_SECOND)
PCM_RANGE = np.iinfo(np.int16)

Samples = npt.NDArray[np.float32]
FrameFormat = tuple[int, str, str]


class Converter:
    """A resampler and mixer for frames of one format.

    Raises FFmpegError or ValueError if libav cannot convert such frames.
    """

    def __init__(self, frame: AudioFrame) -> None:
        self._format = _format(frame)
        self._resampler = AudioResampler(
            format="s16", layout=frame.layout.name, rate=SAMPLE_RATE, frame_size=BLOCK_SAMPLES
        )
        channels = frame.layout.nb_channels
        self._mixer = Mixer(_channel_weights(frame)) if channels > 1 else None
        self._bytes_per_sample = channels * SAMPLE_BYTES

    def accepts(self, frame: AudioFrame) -> bool:
        """Tell whether the frame has this converter's format."""
        return _format(frame) == self._format

    def convert(self, frame: AudioFrame | None) -> Iterator[bytes]:
        """Yield the samples that are ready, which lag behind the frames. None yields all that remain."""
        for resampled in self._resampler.resample(frame):
            interleaved = bytes(resampled.planes[0])[: resampled.samples * self._bytes_per_sample]
            yield self._mixer.mix(interleaved) if self._mixer else interleaved


class Mixer:
    """Mixes channels to mono: the weighted mean of the live ones, or the loudest alone if they would cancel.

    Each block decides again, because a speaker may move to another channel at any time.
    """

    def __init__(self, weights: list[float]) -> None:
        self._weights = np.array(weights, np.float32)
        self._last_gains: Samples | None = None

    def mix(self, interleaved: bytes) -> bytes:
        """Return mono s16 samples of interleaved s16 samples."""
        samples = np.frombuffer(interleaved, np.int16).reshape(-1, len(self._weights)).astype(np.float32)
        gains = self._gains(samples)
        mixed = samples @ gains
        if self._last_gains is not None and not np.array_equal(self._last_gains, gains):
            ramp = np.linspace(1, 0, RAMP_SAMPLES, dtype=np.float32)[: len(mixed)]
            mixed[: len(ramp)] += ramp * (samples[: len(ramp)] @ (self._last_gains - gains))
        self._last_gains = gains
        return bytes(np.rint(mixed).clip(PCM_RANGE.min, PCM_RANGE.max).astype(np.int16))

    def _gains(self, samples: Samples) -> Samples:
        energies = np.einsum("ij,ij->j", samples, samples)
        loudest = int(energies.argmax())
        if not energies[loudest]:
            return self._weights / self._weights.sum() if self._last_gains is None else self._last_gains
        live: Samples = self._weights * (energies > DEAD_SHARE * energies[loudest])
        if live.any():
            live /= live.sum()
            mixed = samples @ live
            if mixed @ mixed >= CANCELLED_SHARE * float(live**2 @ energies):
                return live
        loudest_alone: Samples = np.eye(1, len(live), loudest, np.float32)[0]
        return loudest_alone


def silence(samples: int) -> Iterator[bytes]:
    """Yield so many samples of silence in blocks of up to a second."""
    seconds, remainder = divmod(samples, SAMPLE_RATE)
    for _ in range(seconds):
        yield SILENT_SECOND
    if remainder:
        yield SILENT_SECOND[: remainder * SAMPLE_BYTES]


def _format(frame: AudioFrame) -> FrameFormat:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _channel_weights(frame: AudioFrame) -> list[float]:
    """Return a weight for each channel. Only layouts that name a centre have a bass channel (LFE), without speech."""
    names = [channel.name for channel in frame.layout.channels]
    if len(names) < 3 or "FC" not in names:
        return [1.0] * len(names)
    return [CENTRE_WEIGHT if name == "FC" else 0.0 if name == "LFE" else 1.0 for name in names]
