"""A clip: the part of a recording that is sent as one request."""

from collections.abc import Iterable
from dataclasses import dataclass

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

Stretch = tuple[int, int]  # (start, end) in samples of the recording


@dataclass(frozen=True)
class Clip:
    """A stretch of the recording, 16 kHz mono s16le. Positions are samples of the recording.

    speech: the stretches that may be speech and that an answer to this clip has to cover. Sound that two clips share is
    divided in the middle, because up to there each of them has whole words.
    overlap: samples at its start that the previous clip holds too; 0 unless the cut was in running speech.
    channel: the recording's channel that it is from; 0 if the channels are mixed.
    """

    start: int
    pcm: bytes
    speech: tuple[Stretch, ...]
    overlap: int = 0
    channel: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.pcm) // SAMPLE_BYTES

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_BYTES / SAMPLE_RATE

    def between(self, start: int, end: int) -> "Clip":
        """Return the part of the clip between two samples of the recording."""
        pcm = self.pcm[(start - self.start) * SAMPLE_BYTES : (end - self.start) * SAMPLE_BYTES]
        return Clip(start, pcm, clipped(self.speech, start, end), channel=self.channel)


def clipped(stretches: Iterable[Stretch], start: int, end: int) -> tuple[Stretch, ...]:
    """Return the parts of the stretches between two samples of the recording."""
    return tuple((max(first, start), min(last, end)) for first, last in stretches if last > start and first < end)


def total_length(stretches: Iterable[Stretch]) -> int:
    """Return the number of samples in all stretches."""
    return sum(end - start for start, end in stretches)
