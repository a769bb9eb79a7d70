"""Splits text where a line may break, and measures its width. The layout of captions uses it.

It follows a small part of Unicode's line breaking (UAX #14), whose tables and libraries are many times larger than the
rest of the captions. Where it knows too little, such as where a Thai word ends if the service gives no word times, the
captions look less tidy but lose nothing.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcription import locales

# Scripts that break between any two characters: Thai, Lao, Myanmar, Khmer, kana, ideographs and their punctuation.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff"
)
_PIECE = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\S)+")
# No-break spaces are not among them: French has one before a question mark, which must not start a line.
_SPACE = re.compile(r"[^\S\u00a0\u2007\u202f]+")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")  # but not white space; and the BOM

# A line never starts with closing punctuation, combining marks, small kana, or vowels written after their consonant.
_NEVER_FIRST = frozenset({"Mn", "Mc", "Me", "Pe", "Pf", "Po", "Lm"})
_NEVER_FIRST_LETTERS = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮะาำະາຳ")
# A line never ends with opening punctuation, vowels written before their consonant, or signs that stack the next one.
_NEVER_LAST = frozenset({"Ps", "Pi"})
_NEVER_LAST_LETTERS = frozenset("เแโใไເແໂໃໄ\u1039\u17d2")

# RUF001 warns that these are easily mistaken for others. That is why all of them are listed.
_CLOSING = "\"'”’»)]}」』）】"  # noqa: RUF001
_SENTENCE_END = frozenset(".?!…。．？！؟۔।။")  # noqa: RUF001
_CLAUSE_END = frozenset(",;:–—،؛、，；：")  # noqa: RUF001


@dataclass(frozen=True)
class Piece:
    """Text that stays on one line.

    `space`: a space goes before it, unless it starts the line. `pause`: a space follows it in a language that has none
    between words, where it works like a comma.
    """

    text: str
    space: bool
    pause: bool = False

    @property
    def width(self) -> int:
        return columns(self.text)

    @property
    def ends_sentence(self) -> bool:
        return self.text.rstrip(_CLOSING)[-1:] in _SENTENCE_END

    @property
    def ends_clause(self) -> bool:
        return self.pause or self.text.rstrip(_CLOSING)[-1:] in _CLAUSE_END


def columns(text: str) -> int:
    """Return the width in columns: two for each full-width character, one for any other."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def one_line(text: str) -> str:
    """Return the text without line breaks, control characters and runs of spaces. Directional marks stay."""
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate could not be written
    text = _SPACE.sub(" ", _CONTROL.sub(" ", text)).strip(" ")
    return text if text.strip() else ""


def pieces(text: str, language: str, widest: int) -> list[Piece]:
    """Return `text`, which has no line breaks, in pieces of at most `widest` columns."""
    words = [word for word in text.split(" ") if word]
    if locales.word_separator(language):
        whole = [Piece(word, space=True) for word in words]
    else:
        whole = [piece for word in words for piece in _split_unspaced(word)]
    return [part for piece in whole for part in _split_wide(piece, widest)]


def line_ends(row: Sequence[Piece], widest: int) -> list[int]:
    """Return for each piece the first one that no longer fits on a line that starts with it."""
    widths = [piece.width for piece in row]
    ends = []
    for first, width in enumerate(widths):
        end = first + 1
        while end < len(row) and (width := width + row[end].space + widths[end]) <= widest:
            end += 1
        ends.append(end)
    return ends


def joined(line: Sequence[Piece]) -> str:
    """Return the pieces of one line as text."""
    return "".join(" " * (piece.space and index > 0) + piece.text for index, piece in enumerate(line))


def _split_unspaced(word: str) -> list[Piece]:
    """Return the characters of unspaced scripts in `word` as single pieces, where a line may break between them."""
    parts: list[Piece] = []
    for match in _PIECE.finditer(word):
        if parts and (_never_first(match[0][0]) or _never_last(parts[-1].text[-1])):
            parts[-1] = replace(parts[-1], text=parts[-1].text + match[0])
        else:
            parts.append(Piece(match[0], space=not parts))
    if not parts:  # the word consists of other kinds of space
        return [Piece(word, space=True)]
    return [*parts[:-1], replace(parts[-1], pause=True)]


def _never_first(char: str) -> bool:
    return unicodedata.category(char) in _NEVER_FIRST or char in _NEVER_FIRST_LETTERS


def _never_last(char: str) -> bool:
    return unicodedata.category(char) in _NEVER_LAST or char in _NEVER_LAST_LETTERS


def _split_wide(piece: Piece, widest: int) -> list[Piece]:
    """Return the piece in parts that fit on a line of `widest` columns."""
    parts, width = [""], 0
    for char in piece.text:
        width += columns(char)
        if width > widest:
            parts, width = [*parts, ""], columns(char)
        parts[-1] += char
    *head, tail = [Piece(part, piece.space and index == 0) for index, part in enumerate(parts)]
    return [*head, replace(tail, pause=piece.pause)]
