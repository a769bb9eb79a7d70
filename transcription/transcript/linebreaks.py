"""Where a line of text may break, and how wide it is: what captions are laid out with.

A small part of what Unicode's line breaking (UAX #14) says, since its tables and libraries would be many times the rest
of the captions. What it does not know (a Thai word's end without the service's word times, say) costs beauty only.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcription import locales

# Scripts that break between their characters: Thai, Lao, Myanmar, Khmer, kana, ideographs and their punctuation.
_BETWEEN = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u31f0-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff"
)
_PIECE = re.compile(rf"[{_BETWEEN}]|(?:(?![{_BETWEEN}])\S)+")
# No-break spaces stay in their words: French puts them before its question marks.
_SPACE = re.compile(r"[^\S\u00a0\u2007\u202f]+")
_UNFIT = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")  # controls that are no white space, and the BOM

# What no line starts with: closing punctuation, combining marks, small kana, vowels written after their consonant.
_NEVER_FIRST = frozenset({"Mn", "Mc", "Me", "Pe", "Pf", "Po", "Lm"})
_NEVER_FIRST_LETTERS = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮะาำະາຳ")
# What no line ends with: opening punctuation, vowels written before their consonant, signs that stack the next one.
_NEVER_LAST = frozenset({"Ps", "Pi"})
_NEVER_LAST_LETTERS = frozenset("เแโใไເແໂໃໄ\u1039\u17d2")

# RUF001 is right that these are easily taken for others: that is why they are all listed.
_CLOSING = "\"'”’»)]}」』）】"  # noqa: RUF001
_SENTENCE_END = frozenset(".?!…。．？！؟۔।။")  # noqa: RUF001
_CLAUSE_END = frozenset(",;:–—،؛、，；：")  # noqa: RUF001


@dataclass(frozen=True)
class Piece:
    """What stays on one line.

    `space`: one stands before it when it is not the line's first. `pause`: one stands after it although its language
    has none between words, where it is a kind of comma.
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
    """A width in columns, never less than the number of characters. Full-width characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def one_line(text: str) -> str:
    """The text without line breaks, control characters and runs of spaces; directional marks are left alone."""
    text = text.encode("utf-8", "replace").decode()  # a lone surrogate could not be written
    text = _SPACE.sub(" ", _UNFIT.sub(" ", text)).strip(" ")
    return text if text.strip() else ""


def pieces(text: str, language: str, widest: int) -> list[Piece]:
    """`text`, which is on one line, in pieces of at most `widest` columns."""
    words = [word for word in text.split(" ") if word]
    if locales.word_separator(language):
        whole = [Piece(word, space=True) for word in words]
    else:
        whole = [piece for word in words for piece in _between_characters(word)]
    return [part for piece in whole for part in _cut(piece, widest)]


def line_ends(row: Sequence[Piece], widest: int) -> list[int]:
    """For each piece, the first one that does not fit on a line that starts with it."""
    widths = [piece.width for piece in row]
    ends = []
    for first, width in enumerate(widths):
        last = first + 1
        while last < len(row) and (width := width + row[last].space + widths[last]) <= widest:
            last += 1
        ends.append(last)
    return ends


def joined(line: Sequence[Piece]) -> str:
    return "".join(" " * (piece.space and at > 0) + piece.text for at, piece in enumerate(line))


def _between_characters(word: str) -> list[Piece]:
    found: list[Piece] = []
    for match in _PIECE.finditer(word):
        if found and (_never_first(match[0][0]) or _never_last(found[-1].text[-1])):
            found[-1] = replace(found[-1], text=found[-1].text + match[0])
        else:
            found.append(Piece(match[0], space=not found))
    if not found:  # nothing but spaces of another kind
        return [Piece(word, space=True)]
    return [*found[:-1], replace(found[-1], pause=True)]


def _never_first(char: str) -> bool:
    return unicodedata.category(char) in _NEVER_FIRST or char in _NEVER_FIRST_LETTERS


def _never_last(char: str) -> bool:
    return unicodedata.category(char) in _NEVER_LAST or char in _NEVER_LAST_LETTERS


def _cut(piece: Piece, widest: int) -> list[Piece]:
    """A piece that fits on no line, in parts that do."""
    parts, width = [""], 0
    for char in piece.text:
        width += columns(char)
        if width > widest:
            parts, width = [*parts, ""], columns(char)
        parts[-1] += char
    *head, tail = [Piece(part, piece.space and at == 0) for at, part in enumerate(parts)]
    return [*head, replace(tail, pause=piece.pause)]
