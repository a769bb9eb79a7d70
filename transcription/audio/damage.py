"""Keeps account of what cannot be decoded, and describes it to the person who uploaded the recording."""

NOTICEABLE_SECONDS = 0.1  # a recording's last packet is often cut, and tags at the end look like damage
MISSING_TAIL_SECONDS = 0.5  # encoders pad, and containers round


class Damage:
    """The damage of one recording, reported in the order in which it is decoded. All times are in seconds.

    Losses in a row form a run. A run ends where decoding succeeds again, or with the recording.
    """

    def __init__(self) -> None:
        self.losses_in_a_row = 0
        self._run_start = 0.0
        self._run_seconds = 0.0
        self._stop_reason = ""
        self._first_start = 0.0
        self._lost_seconds = 0.0

    @property
    def ongoing(self) -> bool:
        """Tell whether the last thing that was read could not be decoded."""
        return self.losses_in_a_row > 0

    def lose(self, position: float, seconds: float) -> None:
        """Record that `seconds` of sound at `position` could not be decoded."""
        if not self.ongoing:
            self._run_start, self._run_seconds = position, 0.0
        self.losses_in_a_row += 1
        self._run_seconds += seconds

    def recover(self, pause: float = 0.0) -> None:
        """Record that decoding succeeds again. `pause` is what the timestamps say was lost; 0 if they say nothing.

        They are better than the packets' own seconds, which libav may have computed from a wrong byte rate.
        """
        if self.ongoing:
            self._first_start = self._first_start if self._lost_seconds else self._run_start
            self._lost_seconds += pause or self._run_seconds
            self.losses_in_a_row = 0

    def stop(self, position: float, reason: str = "the file is damaged") -> None:
        """Record that decoding stops for good."""
        if not self.ongoing:
            self._run_start = position
        self._stop_reason = reason

    def report(self, end: float, declared: float | None) -> tuple[str | None, tuple[tuple[float, float], ...]]:
        """Return a description of the damage, None if there is none, and its gaps as (start, duration).

        `end` is how far the recording was decoded, `declared` how far it declares to go. A gap at the end has the
        duration 0 if nobody knows how much is missing.
        """
        descriptions, gaps = [], []
        if self._lost_seconds >= NOTICEABLE_SECONDS:
            descriptions.append(f"{self._lost_seconds:.1f} s from {self._first_start:.1f} s on could not be decoded")
            gaps.append((self._first_start, self._lost_seconds))
        if self._stop_reason or (self.ongoing and self._run_seconds >= NOTICEABLE_SECONDS):
            reason = self._stop_reason or "the file is damaged"
            descriptions.append(f"{reason} from {self._run_start:.1f} s on")
            gaps.append((self._run_start, max(0.0, (declared or 0.0) - self._run_start)))
        elif declared is not None and declared - end > MISSING_TAIL_SECONDS:
            descriptions.append(ends_early(end, declared))
            gaps.append((end, declared - end))
        return ", and ".join(descriptions) or None, tuple(gaps)


def ends_early(end: float, declared: float) -> str:
    """Return the description of a file that ends before its declared end, both in seconds."""
    return f"the file ends at {end:.1f} s, but declares a length of {declared:.1f} s"
