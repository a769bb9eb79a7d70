"""What of a recording could not be decoded, in words for the person who uploaded it."""

NOTICED = 0.1  # seconds; a recording's last packet is often cut, and a tag at its end is taken for one
MISSING_TAIL = 0.5  # seconds; encoders pad, and containers round


class Damage:
    def __init__(self) -> None:
        self.in_a_row = 0
        self._since = 0.0
        self._pending = 0.0
        self._stopped = ""
        self._first = 0.0
        self._within = 0.0

    @property
    def now(self) -> bool:
        """Whether nothing has come of what was read last."""
        return self.in_a_row > 0

    def lost(self, at: float, seconds: float) -> None:
        if not self.in_a_row:
            self._since, self._pending = at, 0.0
        self.in_a_row += 1
        self._pending += seconds

    def resumed(self) -> None:
        if self.in_a_row:
            self._first = self._first if self._within else self._since
            self._within += self._pending
            self.in_a_row = 0

    def stop(self, at: float, why: str = "the file is damaged") -> None:
        """Nothing more is tried."""
        if not self.now:
            self._since = at
        self._stopped = why

    def stretches(self, end: float, expected: float | None) -> tuple[tuple[float, float], ...]:
        """What `told` tells, as (start, duration) in seconds; 0 where nobody knows how much is missing at the end."""
        found = []
        if self._within >= NOTICED:
            found.append((self._first, self._within))
        if self._stopped or (self.now and self._pending >= NOTICED):
            found.append((self._since, max(0.0, (expected or 0.0) - self._since)))
        elif expected is not None and expected - end > MISSING_TAIL:
            found.append((end, expected - end))
        return tuple(found)

    def told(self, end: float, expected: float | None) -> str | None:
        """`end` is how far the recording was decoded, `expected` how far it says that it goes, in seconds."""
        parts = []
        if self._within >= NOTICED:
            parts.append(f"{self._within:.1f} s from {self._first:.1f} s on could not be decoded")
        if self._stopped or (self.now and self._pending >= NOTICED):
            parts.append(f"{self._stopped or 'the file is damaged'} from {self._since:.1f} s on")
        elif expected is not None and expected - end > MISSING_TAIL:
            parts.append(f"the file ends at {end:.1f} s, though it says that it has {expected:.1f} s")
        return ", and ".join(parts) or None
