"""A recording's first two clips go first, in at most half the places. Then comes the oldest upload."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.clock import FakeClock
from transcription.clock import Budget
from transcription.errors import Exhausted, Refused, Retryable, UploadGone
from transcription.speech.turns import Requester, Turns, Waiting

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clip:
    """A task that is never sent."""

    def __init__(self, requester: Requester, number: int) -> None:
        self.requester = requester
        self.number = number

    def send(self) -> bool:
        raise AssertionError("never sent")

    def fail(self, error: BaseException) -> None:
        raise AssertionError("never failed")


@pytest.fixture
def turns() -> Turns:
    return Turns()


def recording(clock: FakeClock, name: str, minutes: int = 0, seconds: float = 600) -> Requester:
    """Return a recording that was uploaded some minutes after noon."""
    return Requester(NOON + timedelta(minutes=minutes), Budget(clock, seconds, name))


def add(turns: Turns, requester: Requester, *numbers: int) -> None:
    for number in numbers:
        turns.add(Waiting(Clip(requester, number)))


def order(turns: Turns, places: int, *, in_flight: int = 10**6) -> list[str]:
    """Return the clips in the order in which they are sent, with so many in flight at once."""
    sent: list[Waiting] = []
    names = []
    while waiting := turns.take_next(0.0, places):
        sent.append(waiting)
        names.append(f"{waiting.task.requester.budget.name}{waiting.task.number}")
        if len(sent) >= in_flight:
            turns.returned(sent.pop(0))
    return names


def test_the_oldest_upload_goes_first(turns: Turns, clock: FakeClock) -> None:
    add(turns, recording(clock, "new", 5), 2, 3)
    add(turns, recording(clock, "old", 1), 3, 2)
    assert order(turns, 8) == ["old2", "old3", "new2", "new3"]


def test_recordings_of_the_same_moment_are_not_mixed(turns: Turns, clock: FakeClock) -> None:
    first, second = recording(clock, "a"), recording(clock, "b")
    add(turns, second, 2, 3)
    add(turns, first, 2, 3)
    assert order(turns, 8) == ["a2", "a3", "b2", "b3"]


def test_the_first_two_clips_of_a_recording_go_first(turns: Turns, clock: FakeClock) -> None:
    add(turns, recording(clock, "old"), 7, 8)
    add(turns, recording(clock, "new", 5), 0, 1, 2)
    assert order(turns, 8) == ["new0", "new1", "old7", "old8", "new2"]


def test_first_clips_get_half_the_places_while_others_wait(turns: Turns, clock: FakeClock) -> None:
    add(turns, recording(clock, "old"), 5, 6, 7)
    for number in range(6):
        add(turns, recording(clock, f"new{number}-", 5), 0)
    assert order(turns, 4, in_flight=4)[:4] == ["new0-0", "new1-0", "old5", "old6"]


def test_first_clips_get_all_places_if_nothing_else_waits(turns: Turns, clock: FakeClock) -> None:
    for number in range(4):
        add(turns, recording(clock, f"new{number}-", 5), 0)
    assert len(order(turns, 4, in_flight=4)) == 4


def test_with_one_place_first_clips_and_others_take_turns(turns: Turns, clock: FakeClock) -> None:
    add(turns, recording(clock, "old"), 5, 6, 7)
    add(turns, recording(clock, "new", 5), 0, 1)
    assert order(turns, 1, in_flight=1) == ["new0", "old5", "new1", "old6", "old7"]


def test_a_clip_that_failed_is_passed_over_until_its_wait_is_over(turns: Turns, clock: FakeClock) -> None:
    requester = recording(clock, "a")
    turns.add(Waiting(Clip(requester, 2), not_before=5.0))
    add(turns, requester, 3)
    later = turns.take_next(0.0, 8)
    assert later
    assert later.task.number == 3
    assert turns.take_next(4.9, 8) is None
    assert turns.take_next(5.0, 8)


def test_the_next_moment_is_the_end_of_a_wait_or_of_a_recordings_time(turns: Turns, clock: FakeClock) -> None:
    turns.add(Waiting(Clip(recording(clock, "a"), 2), not_before=50.0))
    assert turns.seconds_until_ready(0.0, 0.0) == 50
    assert turns.seconds_until_ready(0.0, 70.0) == 70, "nothing is sent while the limit is closed"
    add(turns, recording(clock, "b", seconds=20), 2)
    assert turns.seconds_until_ready(0.0, 70.0) == 20


def test_a_recording_whose_time_is_over_leaves_with_the_reason(turns: Turns, clock: FakeClock) -> None:
    late, other = recording(clock, "late", seconds=60), recording(clock, "other")
    late.note_failure(Refused("no room"), 0.0)
    add(turns, late, 2, 3)
    add(turns, other, 2)
    assert turns.take_stopped() == []
    clock.sleep(60)
    assert [waiting.task.number for waiting in turns.take_stopped()] == [2, 3]
    assert len(turns) == 1
    assert isinstance(late.stopped_by, Exhausted)
    assert "no room" in str(late.stopped_by)


def test_a_recording_that_would_wait_beyond_its_time_stops_at_once(clock: FakeClock) -> None:
    requester = recording(clock, "a", seconds=60)
    requester.note_failure(Refused("no room"), 59.0)
    assert requester.stopped_by is None
    requester.note_failure(Refused("no room", 60.0), 60.0)
    assert isinstance(requester.stopped_by, Exhausted)
    assert requester.stopped_by.wait == 60.0


def test_the_first_error_that_stops_a_recording_counts(clock: FakeClock) -> None:
    requester = recording(clock, "a")
    gone = UploadGone("a")
    requester.stop(gone)
    requester.stop(ValueError())
    assert requester.stopped_by is gone


@pytest.mark.parametrize(("passed", "failed"), [(599, True), (600, False)], ids=["in time", "at the end of the time"])
def test_a_request_that_the_end_of_the_time_cuts_is_no_failure(clock: FakeClock, passed: float, failed: bool) -> None:
    requester = recording(clock, "a", seconds=600)
    clock.sleep(passed)
    requester.note_failure(Retryable("the answer came too slowly"), 1.0)
    assert requester.failed == failed
