"""Parallel work on a stream. Results keep the stream's order, and only a few items are in memory at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    max_unfinished: int,
    abandon: Callable[[], None],
) -> Iterator[Result]:
    """Yield `work(item)` for each item, in order. Works on up to `workers` threads.

    At most `max_unfinished` items have left the stream and are not finished. That keeps the memory of a long recording
    flat. A slow item delays the results after it, which are small, but it delays no work.

    An error of the stream or of `work` ends it. Items that have not begun are dropped. Items in progress are waited
    for, after a call of `abandon` to hurry them.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                unfinished = [future for future in pending if not future.done()]
                if len(unfinished) >= max_unfinished:
                    wait(unfinished, return_when=FIRST_COMPLETED)
                while pending and pending[0].done():
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BaseException:
            abandon()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
