"""Work on a stream's items side by side, with the results in the stream's order and only a few items held at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, held: int, abandon: Callable[[], None]
) -> Iterator[Result]:
    """`work(item)` for each item, in order, on up to `workers` threads; at most `held` items are taken off the stream
    and not yet done.

    The stream is read while earlier items are worked on, and not faster than they are done: that is what keeps the
    memory of a long recording flat. A slow item holds up the results behind it, which are small, but no work. An error
    of the stream or of `work` ends it: items not begun are dropped, `abandon` is to hurry those in work, which are
    waited for.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                unfinished = [future for future in pending if not future.done()]
                if len(unfinished) >= held:
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
