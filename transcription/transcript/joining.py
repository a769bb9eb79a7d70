"""Joins two answers to clips that share some audio, so that each word is in one of them only.

Continuous speech is cut without a pause, with some audio in both clips (see `clips.cutting`). A cut may fall within a
word, so the words next to a clip's edge are the least reliable. The seam goes where both answers agree, as far from
both edges as possible: at a word that both have at the same time. Where the service gives no times, it goes into the
middle of the longest run of words that ends the earlier answer and begins the later one.

A recogniser's display text ("25 men.") differs from its words ("twenty five men"). It is cut at the corresponding
place. Languages written without spaces are compared by characters.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import NamedTuple

from transcription.transcript.model import Phrase, Word

# Two recognitions of one word in the same audio start closer together than this. Different words do not.
SAME_TIME_SECONDS = 0.15
SHARED_TOKENS = 30  # words (or characters) compared where there are no times; three seconds of overlap hold 20 at most
EDGE_TOKENS = 1  # words next to each edge that the cut may have broken

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Japanese, Chinese
)
TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


class _Seam(NamedTuple):
    """The number of units to keep of the earlier answer, and to drop from the later one. See `_units`."""

    keep: int
    drop: int


class _Token(NamedTuple):
    text: str
    start: int


def join(earlier: Phrase, later: Phrase) -> tuple[Phrase, Phrase]:
    """Return the two phrases with each word in one of them only. Either may end up empty.

    Where they agree on nothing and there are no times, both stay as they are: a word twice is better than none.
    """
    if earlier.words and later.words:
        seam = _seam_by_time(earlier, later)
    else:
        seam = _seam_by_text(_units(earlier), _units(later))
    return _head(earlier, seam.keep), _tail(later, seam.drop)


def unit_index(text: str, units: Sequence[str], number: int) -> int:
    """Return the index in `text` at which the unit `number` of `units` begins.

    `text` may be any form: display, lexical, ITN or masked. Where it shows several words as one ("twenty five" as
    "25"), a place within them goes to the nearer end.
    """
    if number <= 0:
        return 0
    if number >= len(units):
        return len(text)
    shown = _tokens(text)
    spoken, first_token = _spoken_tokens(units)
    wanted = first_token[number]
    for _, start, end, shown_start, shown_end in _alignment(spoken, shown):
        if start <= wanted < end:
            share = (wanted - start) / (end - start)
            nearest = shown_start + round(share * (shown_end - shown_start))
            return shown[nearest].start if nearest < len(shown) else len(text)
    return len(text)


def _units(phrase: Phrase) -> tuple[str, ...]:
    """Return the units that a seam counts: the timed words, or the tokens of the lexical form, or those of the text."""
    if phrase.words:
        return tuple(word.text for word in phrase.words)
    return tuple(token.text for token in _tokens(phrase.lexical or phrase.text))


def _head(phrase: Phrase, keep: int) -> Phrase:
    """Return the first `keep` units of the phrase."""
    units = _units(phrase)
    if keep >= len(units):
        return phrase
    words = phrase.words[:keep]
    duration = words[-1].end - phrase.offset if words else phrase.duration
    return _shortened(
        phrase, lambda text: text[: unit_index(text, units, keep)].rstrip(), words, phrase.offset, duration
    )


def _tail(phrase: Phrase, drop: int) -> Phrase:
    """Return the phrase without its first `drop` units."""
    units = _units(phrase)
    if drop <= 0:
        return phrase
    words = phrase.words[drop:]
    offset = words[0].offset if words else phrase.offset
    return _shortened(phrase, lambda text: text[unit_index(text, units, drop) :], words, offset, phrase.end - offset)


def _shortened(
    phrase: Phrase, shorten: Callable[[str], str], words: tuple[Word, ...], offset: float, duration: float
) -> Phrase:
    """Return the phrase with every form of its text shortened.

    The alternatives are dropped: they are readings of the whole phrase, and would repeat what was cut off.
    """

    def shorten_form(text: str | None) -> str | None:
        return None if text is None else shorten(text)

    return replace(
        phrase,
        offset=offset,
        duration=max(0.0, duration),
        text=shorten(phrase.text),
        lexical=shorten_form(phrase.lexical),
        itn=shorten_form(phrase.itn),
        masked_itn=shorten_form(phrase.masked_itn),
        alternatives=(),
        words=words,
    )


def _seam_by_time(earlier: Phrase, later: Phrase) -> _Seam:
    """Return the seam at the word that both have at the same time, or else in the middle of the shared audio."""
    start, end = later.words[0].offset, earlier.words[-1].end
    if end <= start:
        return _Seam(len(earlier.words), 0)
    middle = (start + end) / 2
    exact_earlier, exact_later = _exact_cuts(earlier), _exact_cuts(later)
    matches = [
        (i not in exact_earlier or j not in exact_later, abs(word.offset - middle), i, j)
        for i, word in enumerate(earlier.words)
        if word.end > start - SAME_TIME_SECONDS
        for j, other in enumerate(later.words)
        if abs(word.offset - other.offset) <= SAME_TIME_SECONDS and _normalized(word.text) == _normalized(other.text)
    ]
    if matches:
        _, _, i, j = min(matches)
        return _Seam(i + 1, j + 1)
    kept = [word for word in earlier.words if (word.offset + word.end) / 2 < middle]
    kept_until = kept[-1].end if kept else start
    dropped = [word for word in later.words if (word.offset + word.end) / 2 < kept_until]
    return _Seam(len(kept), len(dropped))


def _seam_by_text(earlier: Sequence[str], later: Sequence[str]) -> _Seam:
    """Return the seam in the middle of the run of units that ends the earlier answer and begins the later one."""
    skipped = max(0, len(earlier) - SHARED_TOKENS)
    ending = [_normalized(unit) for unit in earlier[skipped:]]
    beginning = [_normalized(unit) for unit in later[:SHARED_TOKENS]]
    first, second, size = _run_between_edges(ending, beginning) or _longest_run(ending, beginning)
    if not size:
        return _Seam(len(earlier), 0)
    half = (size + 1) // 2
    return _Seam(skipped + first + half, second + half)


def _run_between_edges(ending: list[str], beginning: list[str]) -> tuple[int, int, int] | None:
    """Return the longest run that reaches both edges, apart from broken words: where it begins in each, and its size.

    A phrase that is said twice cannot mislead it.
    """
    edges = [(missed, second) for missed in range(EDGE_TOKENS + 1) for second in range(EDGE_TOKENS + 1)]
    for size in range(min(len(ending), len(beginning)), 0, -1):
        for missed, second in edges:
            first = len(ending) - missed - size
            if first >= 0 and ending[first : first + size] == beginning[second : second + size]:
                return first, second, size
    return None


def _longest_run(ending: list[str], beginning: list[str]) -> tuple[int, int, int]:
    """Return the longest common run, for answers that differ near their edges.

    Its size is 0 if the seam would drop more words than the run has: then it is a coincidence.
    """
    run = SequenceMatcher(None, ending, beginning, autojunk=False).find_longest_match()
    dropped = max(len(ending) - run.a - run.size, run.b)
    return run.a, run.b, run.size if run.size >= dropped else 0


def _exact_cuts(phrase: Phrase) -> set[int]:
    """Return the numbers of the words after which the display text can be cut exactly.

    The text shows such a word and the next one as they are spoken. The last word does not count: the punctuation after
    it is there only because the clip ended.
    """
    spoken, first_token = _spoken_tokens(_units(phrase))
    same: set[int] = set()
    for tag, start, end, _, _ in _alignment(spoken, _tokens(phrase.text)):
        if tag == "equal":
            same.update(range(start, end))
    return {number for number, end in enumerate(first_token[1:]) if end - 1 in same and end in same}


def _alignment(spoken: Sequence[str], shown: Sequence[_Token]) -> Sequence[tuple[str, int, int, int, int]]:
    """Return difflib's opcodes: which spoken tokens stand for which tokens of the text."""
    normalized = [_normalized(token.text) for token in shown]
    return SequenceMatcher(None, spoken, normalized, autojunk=False).get_opcodes()


def _spoken_tokens(units: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the normalised tokens of all units, and the first token of each unit and of the end.

    A unit may have several tokens: a Chinese word has several characters.
    """
    tokens: list[str] = []
    first_token = []
    for unit in units:
        first_token.append(len(tokens))
        tokens += [_normalized(token.text) for token in _tokens(unit)] or [_normalized(unit)]
    return tokens, [*first_token, len(tokens)]


def _tokens(text: str) -> list[_Token]:
    """Return the words of spaced scripts and the single characters of unspaced ones.

    Free-standing punctuation and vowel signs belong to the token before them.
    """
    tokens = (_Token(match.group(), match.start()) for match in TOKEN.finditer(text))
    return [token for token in tokens if _normalized(token.text) and unicodedata.category(token.text[0])[0] != "M"]


def _normalized(text: str) -> str:
    """Return `text` without case, punctuation and symbols, in which two recognitions of the same words differ."""
    return "".join(c for c in text.casefold() if unicodedata.category(c)[0] not in "PSZC")
