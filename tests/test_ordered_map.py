"""Parallel work on a stream: results in order, few items at a time, and errors that end it."""

import threading
from collections.abc import Callable, Iterator

import pytest

from transcription.ordered_map import ordered_map


class CountedItems:
    """Numbers from 0, and a count of those already read."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            self.taken += 1
            yield number


def test_the_stream_is_read_only_as_far_ahead_as_items_may_be_unfinished() -> None:
    items = CountedItems(100)
    gates = [threading.Event() for _ in range(100)]

    def work(number: int) -> int:
        gates[number].wait()
        return number

    results = ordered_map(work, items, workers=4, max_unfinished=6, abandon=lambda: None)
    for number in range(50):
        gates[number].set()
        assert next(results) == number
        assert items.taken <= number + 6
    for gate in gates:
        gate.set()
    results.close()  # type: ignore[attr-defined]


def test_a_slow_item_delays_no_other_work() -> None:
    last_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            last_is_done.wait()
        if number == 49:
            last_is_done.set()
        return number

    assert list(ordered_map(work, range(50), workers=2, max_unfinished=4, abandon=lambda: None)) == list(range(50))


@pytest.mark.parametrize("broken", [0, 3, 9])
def test_an_error_of_the_work_is_raised_and_ends_the_stream(broken: int) -> None:
    items = CountedItems(1000)

    def work(number: int) -> int:
        if number == broken:
            raise ValueError(f"broken {number}")
        return number

    with pytest.raises(ValueError, match=f"broken {broken}"):
        list(ordered_map(work, items, workers=2, max_unfinished=4, abandon=lambda: None))
    assert items.taken <= broken + 5


def test_an_error_of_the_stream_is_raised_after_the_work_in_progress() -> None:
    finished: list[int] = []

    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the stream broke")

    work: Callable[[int], None] = finished.append
    with pytest.raises(ValueError, match="the stream broke"):
        list(ordered_map(work, items(), workers=2, max_unfinished=10, abandon=lambda: None))
    assert sorted(finished) == [0, 1, 2]


def test_work_that_has_not_begun_is_dropped_when_the_stream_fails() -> None:
    begun: list[int] = []
    may_finish = threading.Event()

    def items() -> Iterator[int]:
        yield from range(9)
        raise ValueError("the stream broke")

    def work(number: int) -> None:
        begun.append(number)
        may_finish.wait()

    hurry = threading.Timer(0.2, may_finish.set)
    with pytest.raises(ValueError, match="the stream broke"):
        list(ordered_map(work, items(), workers=2, max_unfinished=10, abandon=hurry.start))
    assert set(begun) <= {0, 1}
