"""Line breaks: the places where text may break, and the width of each line."""

import pytest

from transcription.transcript.linebreaks import Piece, columns, joined, line_ends, one_line, pieces


def texts(text: str, language: str, widest: int = 42) -> list[str]:
    return [piece.text for piece in pieces(text, language, widest)]


def test_full_width_characters_take_two_columns() -> None:
    assert columns("ab") == 2
    assert columns("会議") == columns("ＡＢ") == 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (" a  b\n\nc\t", "a b c"),
        ("a\0b\x1bc\ufeff", "a b c"),
        ("point\u00a0?", "point\u00a0?"),
        ("\u200fمرحبا\u200f", "\u200fمرحبا\u200f"),
        ("\ud83d", "?"),
        (" \n\u00a0", ""),
    ],
)
def test_a_text_becomes_one_line_without_control_characters(text: str, line: str) -> None:
    assert one_line(text) == line


def test_languages_with_spaces_break_between_words_only() -> None:
    assert texts("Say 会議, please.", "en-US") == ["Say", "会議,", "please."]


def test_languages_without_spaces_break_between_characters_but_not_before_closing_punctuation() -> None:
    assert texts("「今天」用Windows。", "zh-CN") == ["「今", "天」", "用", "Windows。"]


def test_thai_vowels_stay_with_their_consonant() -> None:
    assert texts("เรา", "th-TH") == ["เรา"]


def test_a_word_wider_than_a_line_is_split() -> None:
    assert texts("abcdefg hi", "en-US", widest=3) == ["abc", "def", "g", "hi"]
    assert joined(pieces("abcdefg hi", "en-US", widest=3)) == "abcdefg hi"


def test_pieces_are_joined_with_the_spaces_of_the_text() -> None:
    for text, language in (("one two three", "en-US"), ("今天 我们讨论Windows", "zh-CN")):
        assert joined(pieces(text, language, 42)) == text


def test_a_line_ends_where_the_next_piece_does_not_fit() -> None:
    row = pieces("aa bb cc dddd", "en-US", 42)
    assert line_ends(row, 5) == [2, 3, 3, 4]
    assert line_ends(row, 42) == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("text", "sentence", "clause"),
    [
        ("end.", True, False),
        ("end.”", True, False),
        ("好。", True, False),
        ("and,", False, True),
        ("word", False, False),
    ],
)
def test_punctuation_ends_sentences_and_clauses_also_within_quotes(text: str, sentence: bool, clause: bool) -> None:
    piece = Piece(text, space=True)
    assert (piece.ends_sentence, piece.ends_clause) == (sentence, clause)


def test_a_space_ends_a_clause_in_languages_without_spaces_between_words() -> None:
    assert [piece.ends_clause for piece in pieces("今天 我们", "zh-CN", 42)] == [False, True, False, True]
