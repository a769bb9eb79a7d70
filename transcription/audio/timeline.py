"""Places decoded frames in time by their container's timestamps, which are believed within reason."""

import math

from av import AudioFrame

from transcription.audio.pcm import SAMPLE_RATE

MIN_PAUSE = 0.05  # seconds; containers round and encoders pad by less
MIN_PAUSE_AFTER_DAMAGE = 0.001  # seconds; packets of a few milliseconds may be missing
MAX_PAUSE = 3600.0  # seconds; a muted microphone. A longer one means a broken clock
MAX_OVERLAP = 1.0  # seconds; a larger one means that the clock was reset
PAST_THE_END = 1.0  # seconds; timestamps further past the declared end are not believed


class Timeline:
    """The position in a recording.

    position: where the next frame is expected, in seconds.
    emitted: the number of samples before it, without those that the resampler still holds.
    start: the timestamp of the recording's beginning. None takes the first frame's.
    duration: the declared length in seconds, or None.
    """

    def __init__(self, start: float | None, duration: float | None) -> None:
        self.position = 0.0
        self.emitted = 0
        self._start = start
        self._duration = duration

    def pause_before(self, frame: AudioFrame, *, after_damage: bool) -> float:
        """Return the seconds that the timestamps skip. Rounding, overlaps and clock errors count as 0."""
        time = frame.time
        if time is None or not math.isfinite(time):
            return 0.0
        if self._start is None:
            self._start = time
        pause = time - self._start - self.position
        too_late = self._duration is not None and self.position + pause > self._duration + PAST_THE_END
        if too_late or not -MAX_OVERLAP <= pause <= MAX_PAUSE:
            self._start += pause  # from here on, follow the new clock
            return 0.0
        return pause if pause >= (MIN_PAUSE_AFTER_DAMAGE if after_damage else MIN_PAUSE) else 0.0

    def samples_until(self, pause: float) -> int:
        """Return the samples of silence that fill a pause. The resampler must be empty."""
        return max(0, round((self.position + pause) * SAMPLE_RATE) - self.emitted) if pause else 0

    def advance(self, seconds: float) -> None:
        self.position += seconds
