"""Phrases → WebVTT, SubRip or plain text.

Both caption formats are a dozen lines to write, so no library is deployed for them; the tests read every kind back with
one. A caption has at most two lines of 42 columns, which is the length broadcasters agree on for Latin scripts. Columns
rather than characters, because an ideograph is twice as wide: its lines have 21, about what is usual for those.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import accumulate, pairwise
from math import inf

from transcription.transcript.linebreaks import Piece, columns, joined, line_ends, one_line, pieces
from transcription.transcript.model import Phrase, Transcript, Word

VTT, SRT, TXT = "vtt", "srt", "txt"

LINE_COLUMNS = 42
SHORTEST = 700  # ms on screen, where the next caption leaves the room
LONGEST = 7_000  # ms
LEAST = 40  # ms, one frame: what a caption gets even if all times are the same

# What a caption costs that ends in the middle of a clause, at a comma, at the end of a sentence, relative to what it
# costs that it is there at all (1), or empty (1). Found by trying: a sentence is kept whole if it fits on the screen.
MID_CLAUSE, MID_SENTENCE, SENTENCE_END = 0.6, 0.25, 0.0
MID_WORD = 1.0
TOO_SHORT = 1.0


@dataclass(frozen=True)
class Timed:
    """A piece and when it is spoken, in seconds. `word_goes_on`: the next piece belongs to the same spoken word."""

    piece: Piece
    start: float
    end: float
    word_goes_on: bool = False


@dataclass(frozen=True)
class Caption:
    """Times in milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]


def files(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """What goes beside a document, kind → content; nothing where nobody spoke."""
    kinds = [kind for kind in (VTT, SRT, TXT) if kind in formats and transcript.phrases]
    return {kind: render(kind, transcript.phrases, transcript.language) for kind in kinds}


def render(kind: str, phrases: Sequence[Phrase], language: str) -> str:
    """The whole file. `phrases` in order; without any, a valid file without captions."""
    if kind == TXT:
        return "".join(f"{text}\n" for phrase in phrases if (text := one_line(phrase.text)))
    captions = list(_on_screen([caption for phrase in phrases for caption in _captions(phrase, language)]))
    if kind == VTT:
        return "WEBVTT\n" + "".join(map(_vtt, captions))
    return "\n".join(_srt(number, caption) for number, caption in enumerate(captions, start=1))


def _vtt(caption: Caption) -> str:
    text = "\n".join(caption.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"\n{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n{text}\n"


def _srt(number: int, caption: Caption) -> str:
    """The format has no escapes, and players take `<` for the start of a tag."""
    text = "\n".join(caption.lines).replace("<", "‹").replace(">", "›")  # noqa: RUF001  # meant to look alike
    return f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n{text}\n"


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"


def _on_screen(captions: Sequence[Caption]) -> Iterator[Caption]:
    """The captions with times that a viewer can follow and a player accepts: in order, apart, long enough to read."""
    ends = 0
    for at, caption in enumerate(captions):
        start = max(caption.start, ends)
        following = captions[at + 1].start if at + 1 < len(captions) else start + LONGEST
        room = max(following, start + LEAST)
        ends = min(max(caption.end, start + SHORTEST), room, start + LONGEST)
        yield Caption(start, ends, caption.lines)


# When each piece of a phrase is spoken


def _timed(phrase: Phrase, language: str) -> list[Timed]:
    """The display text in pieces, with the times of the spoken words they stand for.

    The two differ in capitals, punctuation, numbers and masked words, so they are aligned. What has no counterpart
    gets its share of the time between its neighbours; without word times that is the whole phrase's.
    """
    shown = pieces(one_line(phrase.text), language, LINE_COLUMNS)
    spoken = [part for word in phrase.words for part in _spoken(word, language)]
    timed: list[Timed] = []
    ends = phrase.offset
    for kind, first, last, heard_first, heard_last in _aligned(shown, spoken):
        heard = spoken[heard_first:heard_last]
        if kind == "equal":
            timed += [replace(part, piece=piece) for piece, part in zip(shown[first:last], heard, strict=True)]
        elif heard:
            timed += _shared(shown[first:last], heard[0].start, heard[-1].end)
        else:
            until = spoken[heard_last].start if heard_last < len(spoken) else phrase.offset + phrase.duration
            timed += _shared(shown[first:last], ends, until)
        ends = timed[-1].end if timed else ends
    return list(_in_order(timed))


def _spoken(word: Word, language: str) -> list[Timed]:
    """A word in the pieces that the display text has too: a whole one, or its characters."""
    parts = pieces(one_line(word.text), language, LINE_COLUMNS)
    shared = _shared(parts, word.offset, word.offset + word.duration)
    return [replace(part, word_goes_on=at < len(shared)) for at, part in enumerate(shared, start=1)]


def _aligned(shown: Sequence[Piece], spoken: Sequence[Timed]) -> Sequence[tuple[str, int, int, int, int]]:
    """difflib's opcodes from the one to the other."""
    keys = [_key(piece) for piece in shown], [_key(part.piece) for part in spoken]
    return SequenceMatcher(None, *keys, autojunk=False).get_opcodes()


def _key(piece: Piece) -> str:
    """What display and lexical form of a word have in common."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", piece.text).casefold()))


def _shared(shown: Sequence[Piece], start: float, end: float) -> list[Timed]:
    """The pieces over a stretch of time, in proportion to their length."""
    lengths = [0, *accumulate(piece.width for piece in shown)]
    share = max(0.0, end - start) / (lengths[-1] or 1)
    return [
        Timed(piece, start + share * before, start + share * after)
        for piece, (before, after) in zip(shown, pairwise(lengths), strict=True)
    ]


def _in_order(timed: Sequence[Timed]) -> Iterator[Timed]:
    """The same with times that never go back, whatever the service says."""
    ends = 0.0
    for one in timed:
        start = max(one.start, ends)
        ends = max(one.end, start)
        yield replace(one, start=start, end=ends)


# Where a phrase is cut into captions, and those into lines


def _captions(phrase: Phrase, language: str) -> Iterator[Caption]:
    timed = _timed(phrase, language)
    row = [one.piece for one in timed]
    ends = line_ends(row, LINE_COLUMNS)
    for first, last in _cuts(timed, ends):
        lines = _lines(row[first:last], ends[first] - first)
        yield Caption(round(1000 * timed[first].start), round(1000 * timed[last - 1].end), lines)


def _cuts(timed: Sequence[Timed], ends: Sequence[int]) -> list[tuple[int, int]]:
    """(first, one past the last) of each caption, at the least cost in all."""
    cheapest: list[tuple[float, int]] = [(0.0, 0)] + [(inf, 0)] * len(timed)  # up to a piece: the cost, the cut before
    widths = [0, *accumulate(one.piece.width + one.piece.space for one in timed)]
    for first in range(len(timed)):
        latest = ends[ends[first]] if ends[first] < len(timed) else len(timed)
        for last in range(first + 1, latest + 1):
            if last > first + 1 and 1000 * (timed[last - 1].end - timed[first].start) > LONGEST:
                break
            empty = 1 - (widths[last] - widths[first]) / (2 * LINE_COLUMNS)
            cost = cheapest[first][0] + 1 + empty * empty + _cost_of_end(timed, first, last)
            cheapest[last] = min(cheapest[last], (cost, first))
    cuts = []
    last = len(timed)
    while last:
        first = cheapest[last][1]
        cuts.append((first, last))
        last = first
    return cuts[::-1]


def _cost_of_end(timed: Sequence[Timed], first: int, last: int) -> float:
    if last == len(timed):
        return 0.0
    end = timed[last - 1]
    too_short = TOO_SHORT if 1000 * (end.end - timed[first].start) < SHORTEST else 0.0
    return too_short + _cost_of_break(end.piece) + (MID_WORD if end.word_goes_on else 0.0)


def _cost_of_break(piece: Piece) -> float:
    return SENTENCE_END if piece.ends_sentence else MID_SENTENCE if piece.ends_clause else MID_CLAUSE


def _lines(row: Sequence[Piece], fits: int) -> tuple[str, ...]:
    """One line if `row` fits, else two of about the same width. `fits`: how many pieces the first one can take."""
    if fits >= len(row):
        return (joined(row),)

    def cost(at: int) -> float:
        first, second = columns(joined(row[:at])), columns(joined(row[at:]))
        if second > LINE_COLUMNS:
            return inf
        number = MID_WORD if joined(row[at:]).isdecimal() else 0.0  # lenient parsers take it for the next caption's
        return abs(first - second) / LINE_COLUMNS + _cost_of_break(row[at - 1]) + number

    at = min(range(1, fits + 1), key=cost)
    return joined(row[:at]), joined(row[at:])
