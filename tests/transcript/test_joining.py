"""Two answers to shared audio: every word is kept once, and none is broken."""

from dataclasses import replace

import pytest

from transcription.transcript.joining import join, unit_index
from transcription.transcript.model import Phrase, Word

SENTENCE = [
    "we",
    "met",
    "in",
    "the",
    "old",
    "house",
    "by",
    "the",
    "river",
    "and",
    "talked",
    "until",
    "the",
    "lights",
    "went",
    "out",
]


def spoken(words: list[str], start: float, text: str = "", step: float = 0.3) -> Phrase:
    timed = tuple(Word(word, start + n * step, step) for n, word in enumerate(words))
    return Phrase(start, len(words) * step, text or " ".join(words), lexical=" ".join(words), words=timed)


def untimed_phrase(text: str) -> Phrase:
    return Phrase(0.0, 1.0, text)


def untimed(phrase: Phrase) -> Phrase:
    return replace(phrase, words=())


def joined(earlier: Phrase, later: Phrase) -> str:
    one, other = join(earlier, later)
    return f"{one.text} {other.text}".strip()


@pytest.mark.parametrize(("first", "last"), [(first, last) for first in range(2, 12) for last in range(first, 16)])
@pytest.mark.parametrize("timed", [True, False])
def test_words_in_both_answers_are_kept_once(first: int, last: int, timed: bool) -> None:
    earlier, later = spoken(SENTENCE[:last], 0.0), spoken(SENTENCE[first:], first * 0.3 + 0.04)
    if not timed:
        earlier, later = untimed(earlier), untimed(later)
    assert joined(earlier, later).split() == SENTENCE


@pytest.mark.parametrize("timed", [True, False])
def test_a_word_that_a_cut_has_broken_comes_from_the_other_answer(timed: bool) -> None:
    earlier, later = spoken([*SENTENCE[:9], "an"], 0.0), spoken(["hose", *SENTENCE[6:]], 5 * 0.3)
    if not timed:
        earlier, later = untimed(earlier), untimed(later)
    assert joined(earlier, later).split() == SENTENCE


def test_a_word_said_twice_is_kept_twice() -> None:
    words = ["it", "was", "very", "very", "very", "cold", "that", "day"]
    assert joined(spoken(words[:6], 0.0), spoken(words[2:], 0.6)).split() == words


def test_phrases_that_share_no_time_are_left_as_they_are() -> None:
    earlier, later = spoken(["no", "no"], 0.0), spoken(["no", "no"], 0.9)
    assert join(earlier, later) == (earlier, later)


def test_without_times_phrases_that_share_no_words_are_left_as_they_are() -> None:
    earlier, later = untimed_phrase("This is one thing."), untimed_phrase("That was another.")
    assert join(earlier, later) == (earlier, later)


def test_without_times_a_sentence_said_twice_is_not_mistaken_for_shared_audio() -> None:
    words = ["up", "half", "of", "it", "is", "mine", "and", "up", "half", "of", "it", "is", "mine", "but", "not", "all"]
    assert joined(untimed_phrase(" ".join(words[:13])), untimed_phrase(" ".join(words[9:]))).split() == words


def test_where_the_answers_disagree_the_seam_is_in_the_middle_of_the_shared_audio() -> None:
    earlier = spoken(["one", "two", "free", "fore"], 0.0)
    later = spoken(["tree", "for", "five", "six"], 0.6)
    assert joined(earlier, later) == "one two free for five six"


def test_answers_agree_despite_different_capitals_and_punctuation() -> None:
    earlier = spoken(["we", "went", "home", "and", "then"], 0.0, "We went home, and then.")
    later = spoken(["home", "and", "then", "we", "slept"], 0.6, "Home, and then we slept.")
    assert joined(earlier, later) == "We went home, and then we slept."


@pytest.mark.parametrize("timed", [True, False])
def test_numbers_shown_as_digits_are_neither_split_nor_repeated(timed: bool) -> None:
    earlier = spoken(
        ["we", "sold", "twenty", "five", "baskets", "of", "fish", "and"], 0.0, "We sold 25 baskets of fish and"
    )
    later = spoken(
        ["twenty", "five", "baskets", "of", "fish", "and", "went", "home"], 0.6, "25 baskets of fish, and went home."
    )
    if not timed:
        earlier, later = untimed(earlier), untimed(later)
    text = joined(earlier, later)
    assert text.replace(",", "") == "We sold 25 baskets of fish and went home."


def test_the_lexical_form_and_the_word_times_are_cut_at_the_same_place() -> None:
    one, other = join(spoken(SENTENCE[:10], 0.0), spoken(SENTENCE[6:], 1.8))
    for phrase in (one, other):
        assert (phrase.lexical or "").split() == phrase.text.split() == [word.text for word in phrase.words]
    assert one.words[-1].end <= other.words[0].offset + 0.01


def test_any_other_form_of_the_text_can_be_cut_at_the_same_place() -> None:
    words = ["it", "costs", "twenty", "five", "pounds", "today"]
    assert unit_index("It costs £25 today.", words, 5) == len("It costs £25 ")
    assert unit_index("it costs **** five pounds today", words, 4) == len("it costs **** five ")
    assert unit_index("anything", words, 0) == 0
    assert unit_index("", words, 3) == 0


@pytest.mark.parametrize(
    ("earlier", "later", "whole"),
    [
        ("今天天气很好，我们去公园散", "很好，我们去公园散步吧。", "今天天气很好，我们去公园散步吧。"),
        ("私は昨日、新しい本を買い", "新しい本を買いました。", "私は昨日、新しい本を買いました。"),
        ("วันนี้อากาศดีมากเราไป", "ดีมากเราไปเดินเล่นกัน", "วันนี้อากาศดีมากเราไปเดินเล่นกัน"),
    ],
    ids=["zh", "ja", "th"],
)
def test_languages_written_without_spaces_are_joined_by_characters(earlier: str, later: str, whole: str) -> None:
    one, other = join(untimed_phrase(earlier), untimed_phrase(later))
    assert one.text + other.text == whole


def test_words_of_several_characters_are_not_split() -> None:
    first = ["今天", "天气", "很", "好", "我们", "去", "公园"]
    second = ["很", "好", "我们", "去", "公园", "散步", "吧"]
    earlier = replace(spoken(first, 0.0, "今天天气很好，我们去公园"), lexical=None)
    later = replace(spoken(second, 0.6, "很好，我们去公园散步吧。"), lexical=None)
    one, other = join(earlier, later)
    assert one.text + other.text == "今天天气很好，我们去公园散步吧。"
    assert "".join(word.text for word in one.words + other.words) == "今天天气很好我们去公园散步吧"


def test_an_empty_answer_takes_nothing_from_its_neighbour() -> None:
    phrase = spoken(SENTENCE, 0.0)
    assert join(phrase, untimed_phrase("")) == (phrase, untimed_phrase(""))
    assert join(untimed_phrase(""), phrase) == (untimed_phrase(""), phrase)
