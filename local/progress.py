"""Progress messages for the user who waits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(line: str = "") -> None:
    """Print one line at once, even into a pipe."""
    print(line, flush=True)


@contextmanager
def step(what: str, how_long: str) -> Iterator[None]:
    """Print what begins and how long it may take. At the end, print how long it took."""
    started = time.monotonic()
    say(f"{what} ({how_long}) …")
    yield
    say(f"  finished in {time.monotonic() - started:.0f} s")
