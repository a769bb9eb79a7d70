"""Aligns two forms of the same words, such as the display text and the spoken words, in bounded time.

The alignment is difflib's: the longest run that both forms have, then the same to the left and right of it. The results
are good, but repeated words make its time grow with their square or even their cube. So the comparisons are counted.
Beyond `MAX_COMPARISONS`, only what is equal at the start and end of a stretch is aligned, and the middle counts as
different.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, takewhile
from typing import NamedTuple

# About 10 ms. Measured: a minute of 250 words takes 10,600 at most, one of 600 words takes 48,000, with a tenth of the
# words shown as numbers.
MAX_COMPARISONS = 50_000


class Part(NamedTuple):
    """A stretch of the first sequence and its counterpart in the second. Either may be empty if they differ."""

    equal: bool
    start: int
    end: int
    other_start: int
    other_end: int


class _Run(NamedTuple):
    """Items that both sequences have: the places where they start, and their number."""

    start: int
    other_start: int
    size: int


def align(items: Sequence[str], others: Sequence[str]) -> Iterator[Part]:
    """Yield the parts of both sequences in order. Together they are the whole of each."""
    start = other_start = 0
    for run in [*sorted(_equal_runs(items, others)), _Run(len(items), len(others), 0)]:
        if (start, other_start) != (run.start, run.other_start):
            yield Part(False, start, run.start, other_start, run.other_start)
        start, other_start = run.start + run.size, run.other_start + run.size
        if run.size:
            yield Part(True, run.start, start, run.other_start, other_start)


def _equal_runs(items: Sequence[str], others: Sequence[str]) -> Iterator[_Run]:
    """Yield the runs that both sequences have. No two of them overlap or cross."""
    matcher = SequenceMatcher(None, items, others, autojunk=False)
    counts = Counter(others)
    comparisons = [0, *accumulate(1 + counts[item] for item in items)]
    left = MAX_COMPARISONS
    stretches = [(0, len(items), 0, len(others))]
    while stretches:
        start, end, other_start, other_end = stretches.pop()
        if start == end or other_start == other_end:
            continue
        cost = comparisons[end] - comparisons[start]
        if cost <= left:
            left -= cost
            run = _Run(*matcher.find_longest_match(start, end, other_start, other_end))
        else:
            run = _run_at_an_end(items[start:end], others[other_start:other_end])
            run = _Run(start + run.start, other_start + run.other_start, run.size)
        if run.size:
            yield run
            stretches.append((start, run.start, other_start, run.other_start))
            stretches.append((run.start + run.size, end, run.other_start + run.size, other_end))


def _run_at_an_end(items: Sequence[str], others: Sequence[str]) -> _Run:
    """Return the run that starts both sequences, else the one that ends both. Its size is 0 if there is neither."""
    if size := _shared(items, others):
        return _Run(0, 0, size)
    size = _shared(items[::-1], others[::-1])
    return _Run(len(items) - size, len(others) - size, size)


def _shared(items: Sequence[str], others: Sequence[str]) -> int:
    """Return the number of items that both sequences start with."""
    pairs = zip(items, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
