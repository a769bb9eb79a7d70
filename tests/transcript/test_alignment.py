"""Alignments are those of difflib, and take bounded time however often words repeat."""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.steps import steps
from transcription.transcript.alignment import MAX_COMPARISONS, Part, align

ITEMS = st.lists(st.sampled_from("abcd"), max_size=30)

Pair = tuple[Sequence[str], Sequence[str]]


def as_difflib(items: Sequence[str], others: Sequence[str]) -> list[Part]:
    opcodes = SequenceMatcher(None, items, others, autojunk=False).get_opcodes()
    return [Part(tag == "equal", *places) for tag, *places in opcodes]


def repeated(count: int) -> Pair:
    """Return words that are all the same, but differ at both ends."""
    return ["a", *"x" * count, "b"], ["c", *"x" * count, "d"]


def interleaved(count: int) -> Pair:
    """Return words of which every other one is the same, so that no run is longer than one word."""
    return (
        [word for number in range(count // 2) for word in ("x", f"a{number}")],
        [word for number in range(count // 2) for word in ("x", f"b{number}")],
    )


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(items=ITEMS, others=ITEMS)
def test_the_alignment_is_that_of_difflib(items: list[str], others: list[str]) -> None:
    assert list(align(items, others)) == as_difflib(items, others)


def test_equal_sequences_of_any_length_are_one_part() -> None:
    items = ["x"] * MAX_COMPARISONS
    assert list(align(items, items)) == [Part(True, 0, len(items), 0, len(items))]


def test_an_alignment_that_takes_too_long_has_what_both_start_and_end_with() -> None:
    count = MAX_COMPARISONS
    items, others = ["x"] * count + ["a"] + ["y"] * count, ["x"] * count + ["b", "c"] + ["y"] * count
    assert list(align(items, others)) == [
        Part(True, 0, count, 0, count),
        Part(False, count, count + 1, count, count + 2),
        Part(True, count + 1, 2 * count + 1, count + 2, 2 * count + 2),
    ]


@pytest.mark.parametrize("words", [repeated, interleaved])
def test_an_alignment_that_takes_too_long_still_covers_both_sequences(words: Callable[[int], Pair]) -> None:
    items, others = words(4000)
    start = other_start = 0
    for part in align(items, others):
        assert (part.start, part.other_start) == (start, other_start)
        assert (items[part.start : part.end] == others[part.other_start : part.other_end]) == part.equal
        start, other_start = part.end, part.other_end
    assert (start, other_start) == (len(items), len(others))


@pytest.mark.parametrize("words", [repeated, interleaved])
def test_twice_as_many_repeated_words_take_no_more_than_twice_the_steps(words: Callable[[int], Pair]) -> None:
    fewer, more = words(500), words(1000)
    assert steps(lambda: list(align(*more))) <= 2 * steps(lambda: list(align(*fewer)))


def test_the_limit_is_on_all_comparisons_of_an_alignment_together() -> None:
    items, others = interleaved(400)  # the longest run takes 40,000 comparisons, and there are 200 runs to find
    assert steps(lambda: list(align(items, others))) < 10 * MAX_COMPARISONS
