"""Two answers to clips that share some sound → the same two without what is in both.

Running speech is cut where it goes on (see `clips`), and each clip's edge may lie within a word, so that the words
next to an edge are the worst heard. The seam is laid where both answers agree, as far from both edges as can be: a
word that both have at the same time, or, where the service gives no times, the longest row of words that ends the one
and begins the other.

A recogniser's display text ("25 men.") is not its words ("twenty five men"): it is cut at the place that corresponds.
Languages written without spaces are compared by characters. Pure functions; nothing is kept between calls.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import NamedTuple

from transcription.transcript.model import Phrase, Word

# Two recognitions of one word in the same sound differ by less; the next word begins later than that, or is
# another.
SAME_TIME_SECONDS = 0.15
# Words (or characters) looked at where there are no times: three seconds of overlap hold 20 at most.
SHARED_TOKENS = 30
EDGE_TOKENS = 1  # one word next to each edge may be broken by it.

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
)
TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


class Seam(NamedTuple):
    """How many units of the earlier answer stay, and how many of the later go. Units are words, or tokens of the
    text.
    """

    keep: int
    drop: int


class _Token(NamedTuple):
    text: str
    start: int


def join(earlier: Phrase, later: Phrase) -> tuple[Phrase, Phrase]:
    """The two phrases with every word in one of them only. Either may end up empty; nothing is taken where they agree
    on nothing and no times tell more: a word twice is better than none.
    """
    seam = find_seam(earlier, later)
    return head(earlier, seam.keep), tail(later, seam.drop)


def find_seam(earlier: Phrase, later: Phrase) -> Seam:
    if earlier.words and later.words:
        return _seam_by_time(earlier, later)
    return _seam_by_text(units(earlier), units(later))


def units(phrase: Phrase) -> tuple[str, ...]:
    """What a seam counts in: the words that have times, else the tokens of the lexical form, else those of the text."""
    if phrase.words:
        return tuple(word.text for word in phrase.words)
    return tuple(token.text for token in _tokens(phrase.lexical or phrase.text))


def head(phrase: Phrase, keep: int) -> Phrase:
    """The phrase up to before its unit number `keep`."""
    spoken = units(phrase)
    if keep >= len(spoken):
        return phrase
    words = phrase.words[:keep]
    duration = words[-1].end - phrase.offset if words else phrase.duration
    return _shortened(phrase, lambda text: text[: place(text, spoken, keep)].rstrip(), words, phrase.offset, duration)


def tail(phrase: Phrase, drop: int) -> Phrase:
    """The phrase from its unit number `drop` on."""
    spoken = units(phrase)
    if drop <= 0:
        return phrase
    words = phrase.words[drop:]
    offset = words[0].offset if words else phrase.offset
    return _shortened(phrase, lambda text: text[place(text, spoken, drop) :], words, offset, phrase.end - offset)


def _shortened(
    phrase: Phrase, part: Callable[[str], str], words: tuple[Word, ...], offset: float, duration: float
) -> Phrase:
    """Every form of the text cut alike. Alternatives go: they are of the whole, and say again what was cut off."""

    def form(text: str | None) -> str | None:
        return None if text is None else part(text)

    return replace(
        phrase,
        offset=offset,
        duration=max(0.0, duration),
        text=part(phrase.text),
        lexical=form(phrase.lexical),
        itn=form(phrase.itn),
        masked_itn=form(phrase.masked_itn),
        alternatives=(),
        words=words,
    )


def place(text: str, spoken: Sequence[str], number: int) -> int:
    """The index in `text` (display, lexical, ITN, masked) at which the unit `number` of `spoken` begins.

    Where the text shows several words as one ("twenty five" as "25"), a place within them goes to the nearer end.
    """
    if number <= 0:
        return 0
    if number >= len(spoken):
        return len(text)
    tokens = _tokens(text)
    pieces, first_piece = _pieces(spoken)
    wanted = first_piece[number]
    for _, piece, piece_end, token, token_end in _alignment(pieces, tokens):
        if piece <= wanted < piece_end:
            share = (wanted - piece) / (piece_end - piece)
            nearest = token + round(share * (token_end - token))
            return tokens[nearest].start if nearest < len(tokens) else len(text)
    return len(text)


def _seam_by_time(earlier: Phrase, later: Phrase) -> Seam:
    begin, end = later.words[0].offset, earlier.words[-1].end
    if end <= begin:
        return Seam(len(earlier.words), 0)
    middle = (begin + end) / 2
    whole = _shown_alone(earlier), _shown_alone(later)
    matches = [
        (i not in whole[0] or j not in whole[1], abs(one.offset - middle), i, j)
        for i, one in enumerate(earlier.words)
        if one.end > begin - SAME_TIME_SECONDS
        for j, other in enumerate(later.words)
        if abs(one.offset - other.offset) <= SAME_TIME_SECONDS and _plain(one.text) == _plain(other.text)
    ]
    if matches:
        _, _, i, j = min(matches)
        return Seam(i + 1, j + 1)
    kept = [word for word in earlier.words if (word.offset + word.end) / 2 < middle]
    until = kept[-1].end if kept else begin
    dropped = [word for word in later.words if (word.offset + word.end) / 2 < until]
    return Seam(len(kept), len(dropped))


def _seam_by_text(earlier: Sequence[str], later: Sequence[str]) -> Seam:
    """The middle of the row of units that ends the one and begins the other."""
    skipped = max(0, len(earlier) - SHARED_TOKENS)
    ending = [_plain(unit) for unit in earlier[skipped:]]
    beginning = [_plain(unit) for unit in later[:SHARED_TOKENS]]
    first, second, size = _row_at_edges(ending, beginning) or _longest_row(ending, beginning)
    if not size:
        return Seam(len(earlier), 0)
    half = (size + 1) // 2
    return Seam(skipped + first + half, second + half)


def _row_at_edges(ending: list[str], beginning: list[str]) -> tuple[int, int, int] | None:
    """The longest row that reaches both edges, but for broken words; a phrase said twice does not lead it astray."""
    edges = [(missed, second) for missed in range(EDGE_TOKENS + 1) for second in range(EDGE_TOKENS + 1)]
    for size in range(min(len(ending), len(beginning)), 0, -1):
        for missed, second in edges:
            first = len(ending) - missed - size
            if first >= 0 and ending[first : first + size] == beginning[second : second + size]:
                return first, second, size
    return None


def _longest_row(ending: list[str], beginning: list[str]) -> tuple[int, int, int]:
    """Where the two did not hear alike to their edges. A row that would drop more words than it has is a chance one."""
    row = SequenceMatcher(None, ending, beginning, autojunk=False).find_longest_match()
    dropped = max(len(ending) - row.a - row.size, row.b)
    return row.a, row.b, row.size if row.size >= dropped else 0


def _shown_alone(phrase: Phrase) -> set[int]:
    """The words that the text shows as they are, and the next one too: after these it can be cut exactly. Not the
    last: what stands behind it was set there because the clip ended.
    """
    pieces, first_piece = _pieces(units(phrase))
    same: set[int] = set()
    for tag, piece, piece_end, _, _ in _alignment(pieces, _tokens(phrase.text)):
        if tag == "equal":
            same.update(range(piece, piece_end))
    return {n for n, last in enumerate(first_piece[1:]) if last - 1 in same and last in same}


def _alignment(pieces: Sequence[str], tokens: Sequence[_Token]) -> Sequence[tuple[str, int, int, int, int]]:
    """difflib's opcodes: which pieces stand for which tokens."""
    shown = [_plain(token.text) for token in tokens]
    return SequenceMatcher(None, pieces, shown, autojunk=False).get_opcodes()


def _pieces(spoken: Sequence[str]) -> tuple[list[str], list[int]]:
    """The units' tokens, and for each unit (and the end) its first: a Chinese word is several characters."""
    pieces: list[str] = []
    first = []
    for unit in spoken:
        first.append(len(pieces))
        pieces += [_plain(token.text) for token in _tokens(unit)] or [_plain(unit)]
    return pieces, [*first, len(pieces)]


def _tokens(text: str) -> list[_Token]:
    """Words, and single characters of unspaced scripts; free-standing punctuation and vowel signs belong to the token
    before.
    """
    found = (_Token(match.group(), match.start()) for match in TOKEN.finditer(text))
    return [token for token in found if _plain(token.text) and unicodedata.category(token.text[0])[0] != "M"]


def _plain(text: str) -> str:
    """Without case, punctuation and symbols, which differ between two recognitions of the same words."""
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] not in "PSZC")
