"""Where in the recording a frame belongs, by the timestamps of its container: to be believed within reason."""

import math

from av import AudioFrame

from transcription.audio.pcm import SAMPLE_RATE

SMALLEST_PAUSE = 0.05  # seconds; less is how containers round, and how encoders pad
SMALLEST_AFTER_DAMAGE = 0.001  # seconds; there, packets of a few milliseconds may be missing
LONGEST_PAUSE = 3600.0  # seconds; a muted microphone. A longer one is a broken clock
LARGEST_OVERLAP = 1.0  # seconds; more is a clock that began anew
PAST_THE_END = 1.0  # seconds behind the declared end of the recording that a timestamp may be, to be believed


class Timeline:
    """`now` is where the next frame is expected, in seconds; `emitted` is how many samples there are before it, but
    for those that the resampler holds.
    """

    def __init__(self, start: float | None, duration: float | None) -> None:
        self.now = 0.0
        self.emitted = 0
        self._start = start
        self._end = duration

    def pause_before(self, frame: AudioFrame, *, exact: bool) -> float:
        """Seconds that the timestamps skip; 0 for what is rounding, overlap, or a clock gone wrong."""
        time = frame.time
        if time is None or not math.isfinite(time):
            return 0.0
        if self._start is None:
            self._start = time
        pause = time - self._start - self.now
        too_late = self._end is not None and self.now + pause > self._end + PAST_THE_END
        if too_late or not -LARGEST_OVERLAP <= pause <= LONGEST_PAUSE:
            self._start += pause
            return 0.0
        return pause if pause >= (SMALLEST_AFTER_DAMAGE if exact else SMALLEST_PAUSE) else 0.0

    def samples_until(self, pause: float) -> int:
        """How long the silence of a pause has to be, once the resampler is empty."""
        return max(0, round((self.now + pause) * SAMPLE_RATE) - self.emitted) if pause else 0

    def advance(self, seconds: float) -> None:
        self.now += seconds
