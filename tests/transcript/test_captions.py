"""Captions that people can read and every player accepts. A library reads them all back."""

import html
import string
from itertools import pairwise

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.steps import steps
from transcription.transcript.captions import render
from transcription.transcript.model import Phrase, Word

LONG = (
    "So the first thing we should talk about, I think, is the budget for next year. We will not get more than 25 "
    "thousand dollars; that is a lot less than we had asked for. Any questions?"
)

Shown = tuple[int, int, tuple[str, ...]]  # start and end in milliseconds, lines


def shown(kind: str, phrases: list[Phrase], language: str = "en-US") -> list[Shown]:
    """Return the captions that a library reads from the file."""
    file = pysubs2.SSAFile.from_string(render(kind, phrases, language), format_=kind, keep_html_tags=True)
    texts = (html.unescape(event.text) if kind == "vtt" else event.text for event in file)
    return [(event.start, event.end, tuple(text.split("\\N"))) for event, text in zip(file, texts, strict=True)]


def spoken(text: str, start: float = 0.0, each: float = 0.3, lasting: float = 0.25) -> tuple[Word, ...]:
    """Return the words of a text, one every `each` seconds."""
    return tuple(Word(word, start + each * at, lasting) for at, word in enumerate(text.split()))


def test_a_phrase_becomes_a_caption() -> None:
    phrases = [Phrase(1.0, 2.5, "Good morning everyone."), Phrase(3723.004, 1.0, "Goodbye.")]
    assert render("vtt", phrases, "en-US") == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:03.500\nGood morning everyone.\n\n01:02:03.004 --> 01:02:04.004\nGoodbye.\n"
    )
    assert render("srt", phrases, "en-US") == (
        "1\n00:00:01,000 --> 00:00:03,500\nGood morning everyone.\n\n2\n01:02:03,004 --> 01:02:04,004\nGoodbye.\n"
    )
    assert render("txt", phrases, "en-US") == "Good morning everyone.\nGoodbye.\n"


@pytest.mark.parametrize(("kind", "empty"), [("vtt", "WEBVTT\n"), ("srt", ""), ("txt", "")])
@pytest.mark.parametrize("phrases", [[], [Phrase(0.0, 1.0, " \n\0")]], ids=["no phrase", "nothing to see"])
def test_without_words_the_file_is_valid_and_empty(kind: str, empty: str, phrases: list[Phrase]) -> None:
    assert render(kind, phrases, "en-US") == empty
    if kind != "txt":
        assert shown(kind, phrases) == []


def test_long_phrases_are_cut_and_broken_at_punctuation() -> None:
    assert [lines for _, _, lines in shown("vtt", [Phrase(0.0, 14.0, LONG)])] == [
        ("So the first thing we should talk about,", "I think, is the budget for next year."),
        ("We will not get more", "than 25 thousand dollars;"),
        ("that is a lot less than we had asked for.", "Any questions?"),
    ]


def test_a_text_without_punctuation_is_cut_into_even_captions_and_lines() -> None:
    (first, second) = [lines for _, _, lines in shown("srt", [Phrase(0.0, 9.0, "word " * 24)])]
    assert [len(line) for line in (*first, *second)] == [29] * 4


def test_captions_have_the_times_of_their_words_however_the_display_text_writes_them() -> None:
    text = "On May 5th, pay Dr. Smith $25, damn it. And then call me at 10:30 in the office, or at home after that."
    lexical = (
        "on may fifth pay doctor smith twenty five dollars **** it and then call me at ten thirty in the office or at "
        "home after that"
    )
    phrase = Phrase(1.0, 9.0, text, words=spoken(lexical, start=1.0))
    starts = {lines[0].split()[0]: start for start, _, lines in shown("vtt", [phrase])}
    assert starts == {"On": 1000, "And": 1000 + 300 * lexical.split().index("and")}


def test_a_pause_between_words_belongs_to_no_caption() -> None:
    words = (*spoken("so much for the first of all these topics and here"), *spoken("is what we do next in order", 8.0))
    text = "So much for the first of all these topics, and here is what we do next, in order."
    times = [(start, end) for start, end, _ in shown("vtt", [Phrase(0.0, 10.0, text, words=words)])]
    assert times[0][1] < 4000
    assert times[1][1] == 7 * 300 + 8000 - 50


def test_without_word_times_the_phrases_time_is_divided_by_length() -> None:
    text = "aaaa " * 10 + "bbbb " * 20
    captions = shown("vtt", [Phrase(10.0, 12.0, text)])
    assert (captions[0][0], captions[-1][1]) == (10_000, 22_000)
    per_character = [(end - start) / len(" ".join(lines)) for start, end, lines in captions]
    assert max(per_character) < 1.1 * min(per_character)


def test_a_caption_stays_long_enough_to_read_where_there_is_room_and_seven_seconds_at_most() -> None:
    phrases = [Phrase(0.0, 0.1, "Yes."), Phrase(5.0, 0.1, "No."), Phrase(5.3, 60.0, "Well.")]
    assert [(start, end) for start, end, _ in shown("srt", phrases)] == [(0, 700), (5000, 5300), (5300, 12_300)]


def test_slow_speech_is_cut_by_its_time_instead_of_its_length() -> None:
    words = spoken("one two three four five six seven eight", each=2.0, lasting=1.5)
    captions = shown("vtt", [Phrase(0.0, 15.5, "One two three four five six seven eight.", words=words)])
    assert len(captions) > 1
    assert all(end - start <= 7000 for start, end, _ in captions)


def test_times_that_contradict_each_other_still_come_out_in_order() -> None:
    phrases = [
        Phrase(-1.0, 5.0, "Early."),
        Phrase(2.0, 0.0, LONG, words=spoken(LONG, each=0.0, lasting=0.0)),
        Phrase(1.0, 1.0, "Back again."),
    ]
    captions = shown("vtt", phrases)
    assert captions[0][0] == 0
    assert all(start < end for start, end, _ in captions)
    assert all(before[1] <= after[0] for before, after in pairwise(captions))


@pytest.mark.parametrize("kind", ["vtt", "srt"])
@pytest.mark.parametrize(
    "text",
    [
        "Then --> and 00:00:01.000 --> there",
        "<b>bold</b> & <00:19.000> &amp; a < b > c",
        "one\n\ntwo\r\n\r\n3\n00:00:01,000 --> 00:00:02,000\nthree",
        "nul\0 bell\a escape\x1b[1m next\x85 line\u2028 paragraph\u2029 form\f end",
        "WEBVTT NOTE STYLE",
        "half a pair \ud83d of surrogates",
    ],
)
def test_no_text_can_break_the_file(kind: str, text: str) -> None:
    (caption,) = shown(kind, [Phrase(1.0, 3.0, text)])
    assert caption[:2] == (1000, 4000)
    body = render(kind, [Phrase(1.0, 3.0, text)], "en-US")
    body.encode()
    assert body.count("-->") == 1
    assert "<" not in body
    assert all(char in "\n" or char.isprintable() for char in body)
    letters = [char for char in "".join(caption[2]) if char in string.ascii_letters]
    assert letters == [char for char in text if char in string.ascii_letters]


def test_words_wider_than_a_line_are_split() -> None:
    ((_, _, lines),) = shown("vtt", [Phrase(0.0, 4.0, "x" * 50)])
    assert lines == ("x" * 42, "x" * 8)


def test_a_line_is_not_just_a_number_where_that_can_be_avoided() -> None:
    """Lenient parsers take a number at the end for the next caption's number."""
    ((_, _, lines),) = shown("vtt", [Phrase(0.0, 4.0, "The year in which all of it took place was 2021")])
    assert not lines[1].isdecimal()


def test_a_no_break_space_keeps_a_word_and_its_question_mark_together() -> None:
    text = "Est-ce que vous avez bien compris ce point\u00a0? Alors nous pouvons passer à la suite\u00a0!"
    assert "point\u00a0?" in render("vtt", [Phrase(0.0, 6.0, text)], "fr-FR")


def test_text_from_right_to_left_is_not_changed() -> None:
    text = "\u200fمرحبا بكم جميعا في هذا الاجتماع، واليوم سنتحدث عن الميزانية؟\u200f"
    for kind in ("vtt", "srt"):
        captions = shown(kind, [Phrase(0.0, 6.0, text)], "ar-EG")
        assert " ".join(line for _, _, lines in captions for line in lines) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh-CN", "今天我们讨论明年的预算问题，我觉得首先要看一下去年花了多少钱，然后再决定是否使用Windows系统。"),
        (
            "ja-JP",
            "来年の予算についてお話しします。「まず、去年いくら使ったか」を確認してから、どうするかを決めましょう。",
        ),
        ("th-TH", "สวัสดีครับ วันนี้เราจะพูดถึงงบประมาณของปีหน้า ผมคิดว่าเราต้องดูก่อนว่าปีที่แล้วใช้เงินไปเท่าไร"),
        ("km-KH", "សួស្តីអ្នកទាំងអស់គ្នាថ្ងៃនេះយើងនឹងពិភាក្សាអំពីថវិកាសម្រាប់ឆ្នាំក្រោយ"),
    ],
)
def test_languages_without_spaces_break_between_characters(language: str, text: str) -> None:
    captions = shown("vtt", [Phrase(0.0, 12.0, text)], language)
    lines = [line for _, _, lines in captions for line in lines]
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) > 1
    assert all(len(line) <= 42 for line in lines)
    assert not any(line[0] in "、。，」ーょっ\u17d2" or "\u0e31" <= line[0] <= "\u0e3a" for line in lines)
    assert not any(line[-1] in "「เแโใไ\u17d2" for line in lines)


def test_ideographs_take_two_columns_and_keep_words_of_other_scripts_whole() -> None:
    text = "使用" * 10 + "Microsoft" + "系统" * 10
    lines = [line for _, _, lines in shown("vtt", [Phrase(0.0, 6.0, text)], "zh-CN") for line in lines]
    assert max(map(len, lines)) <= 25
    assert any("Microsoft" in line for line in lines)


def test_with_word_times_languages_without_spaces_are_cut_between_words_only() -> None:
    words = ["今天", "我们", "讨论", "明年的", "预算", "问题", "然后", "再", "决定", "是否", "使用", "这个", "系统"] * 3
    phrase = Phrase(0.0, 13.0, "".join(words) + "。", words=spoken(" ".join(words), each=0.33, lasting=0.33))
    captions = shown("vtt", [phrase], "zh-CN")
    ends, at = set(), 0
    for word in words:
        ends.add(at := at + len(word))
    at = 0
    for start, _, lines in captions:
        assert at in ends | {0}
        assert start == pytest.approx(330 * len([end for end in ends if end <= at]), abs=2)
        at += len("".join(lines))


def test_repeated_words_have_their_own_times_however_many_there_are() -> None:
    text = f"Well, {'no, ' * 600}yes."
    words = spoken(f"so {'no ' * 600}indeed", each=0.1, lasting=0.1)
    captions = shown("vtt", [Phrase(0.0, 60.2, text, words=words)])
    at = 0
    for start, _, lines in captions:
        assert start == pytest.approx(100 * at, abs=100)
        at += sum(len(line.split()) for line in lines)


@pytest.mark.parametrize("noise", ["", "b{}"], ids=["the same word", "every other word"])
def test_twice_as_many_repeated_words_take_about_twice_the_steps(noise: str) -> None:
    def steps_for(count: int) -> int:
        lexical = " ".join(f"x {noise.format(number)}" for number in range(count // 2))
        text = f"a {lexical.replace('b', 'c')} d"
        phrase = Phrase(0.0, 60.0, text, words=spoken(f"e {lexical} f", each=0.02))
        return steps(lambda: render("vtt", [phrase], "en-US"))

    assert steps_for(1000) <= 2.1 * steps_for(500)


TEXT = st.text(st.characters(exclude_characters="\\{}0123456789", exclude_categories=["Cs"]), max_size=300)
SECONDS = st.floats(0, 4000)
WORDS = st.lists(st.builds(Word, TEXT, SECONDS, st.floats(0, 90)), max_size=20).map(tuple)
PHRASES = st.lists(st.builds(Phrase, SECONDS, st.floats(0, 90), TEXT, words=WORDS), max_size=5)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(phrases=PHRASES, language=st.sampled_from(["en-US", "zh-CN", "th-TH"]))
def test_any_phrases_are_read_back_the_same_from_both_formats(phrases: list[Phrase], language: str) -> None:
    vtt, srt = (shown(kind, phrases, language) for kind in ("vtt", "srt"))
    assert [times[:2] for times in vtt] == [times[:2] for times in srt]
    assert all(0 <= start < end <= start + 7000 for start, end, _ in vtt)
    assert all(before[1] <= after[0] for before, after in pairwise(vtt))
    assert all(len(lines) <= 2 and max(map(len, lines)) <= 42 for _, _, lines in vtt)
    expected = [char for phrase in phrases for char in phrase.text if char.isalnum()]
    for captions in (vtt, srt):
        assert [char for _, _, lines in captions for char in "".join(lines) if char.isalnum()] == expected
