"""The limiter caps the requests in flight, and gives free places to the recording with the fewest."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget
from transcription.errors import Exhausted
from transcription.speech.concurrency import FairLimiter


class RequestThreads:
    """Threads that each hold one place of the limiter until the test ends them."""

    def __init__(self, limiter: FairLimiter, clock: FakeClock) -> None:
        self.limiter = limiter
        self.budget = Budget(clock, 60, "a.wav")
        self.admitted: list[str] = []
        self._changed = threading.Condition()
        self._ends: list[threading.Event] = []
        self._threads: list[threading.Thread] = []

    def start(self, recording: str) -> threading.Event:
        end = threading.Event()

        def hold_a_place() -> None:
            with self.limiter.place(recording, self.budget):
                with self._changed:
                    self.admitted.append(recording)
                    self._changed.notify_all()
                end.wait(10)

        thread = threading.Thread(target=hold_a_place)
        thread.start()
        self._threads.append(thread)
        self._ends.append(end)
        return end

    def wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout=10)

    def wait_until_queued(self, count: int) -> None:
        """Wait until `count` threads wait for a place."""
        for _ in range(1000):
            if self.limiter.waiting == count:
                return
            threading.Event().wait(0.005)
        raise AssertionError(f"{self.limiter.waiting} threads wait instead of {count}")

    def end_all(self) -> None:
        for end in self._ends:
            end.set()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def requests(clock: FakeClock) -> Iterator[RequestThreads]:
    requests = RequestThreads(FairLimiter(2), clock)
    yield requests
    requests.end_all()


def test_no_more_requests_are_in_flight_than_there_are_places(requests: RequestThreads) -> None:
    first = requests.start("a")
    requests.wait_until(lambda: requests.admitted == ["a"])
    requests.start("b")
    requests.wait_until(lambda: len(requests.admitted) == 2)
    requests.start("c")
    requests.wait_until_queued(1)
    assert requests.admitted == ["a", "b"]
    first.set()
    requests.wait_until(lambda: requests.admitted == ["a", "b", "c"])


def test_a_free_place_goes_to_the_recording_with_the_fewest_requests(requests: RequestThreads) -> None:
    first = requests.start("long")
    requests.wait_until(lambda: requests.admitted == ["long"])
    requests.start("long")
    requests.wait_until(lambda: requests.admitted == ["long"] * 2)
    for queued, recording in enumerate(["long", "long", "short"], start=1):
        requests.start(recording)
        requests.wait_until_queued(queued)
    first.set()
    requests.wait_until(lambda: len(requests.admitted) == 3)
    assert requests.admitted[2] == "short"


def test_a_place_is_free_again_after_an_error(clock: FakeClock) -> None:
    limiter = FairLimiter(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"), limiter.place("a", Budget(clock, 60, "a.wav")):
            raise ValueError("inside")


def test_waiting_for_a_place_ends_with_the_budget(clock: FakeClock) -> None:
    limiter, spent = FairLimiter(1), Budget(clock, 1, "a.wav")
    clock.sleep(2)
    refused = pytest.raises(Exhausted, match="limit of requests in flight")
    with limiter.place("a", Budget(clock, 60, "a.wav")), refused, limiter.place("b", spent):
        pass
    with limiter.place("c", Budget(clock, 60, "a.wav")):
        pass
