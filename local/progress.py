"""Lines that tell a waiting person what is being done, and how long it may take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(line: str = "") -> None:
    """One line, at once, even into a pipe."""
    print(line, flush=True)


@contextmanager
def step(what: str, how_long: str) -> Iterator[None]:
    """Says what begins and how long it may take, and what it took in the end."""
    started = time.monotonic()
    say(f"{what} ({how_long}) …")
    yield
    say(f"  done in {time.monotonic() - started:.0f} s")
