"""Turns phrases into WebVTT, SubRip or plain text.

Both caption formats take a dozen lines to write, so no library is deployed for them. The tests read them back with one.
A caption has at most two lines of 42 columns, the length that broadcasters agree on for Latin scripts. Columns rather
than characters, because an ideograph is twice as wide: 21 fit on a line, which is about usual for them.
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
READABLE_MS = 700  # time on screen that a caption gets if the next one leaves room
LONGEST_MS = 7_000  # time on screen
FRAME_MS = 40  # time on screen that a caption always gets, even if all its times are the same

# The costs of ending a caption or line at a place. One more caption costs 1, and an empty one another 1.
# Found by trying: a sentence stays whole if it fits on the screen.
MID_CLAUSE = 0.6
MID_SENTENCE = 0.25  # after a comma
SENTENCE_END = 0.0
MID_WORD = 1.0  # within a spoken word
TOO_SHORT = 1.0  # the caption is spoken in less than READABLE_MS
BARE_NUMBER = 1.0  # as the second line; lenient parsers take it for the next caption's number


@dataclass(frozen=True)
class TimedPiece:
    """A piece of text and its time in the recording, in seconds. `mid_word`: the next piece is of the same word."""

    piece: Piece
    start: float
    end: float
    mid_word: bool = False


@dataclass(frozen=True)
class Caption:
    """The lines that are on the screen together, with times in milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]


def files(transcript: Transcript, formats: Sequence[str]) -> dict[str, str]:
    """Return the files that accompany a document, kind → content. A transcript without phrases has none."""
    kinds = [kind for kind in (VTT, SRT, TXT) if kind in formats and transcript.phrases]
    return {kind: render(kind, transcript.phrases, transcript.language) for kind in kinds}


def render(kind: str, phrases: Sequence[Phrase], language: str) -> str:
    """Return the whole file. `phrases` are in order; without any, the file is valid and has no captions."""
    if kind == TXT:
        return "".join(f"{text}\n" for phrase in phrases if (text := one_line(phrase.text)))
    captions = list(_with_screen_times([caption for phrase in phrases for caption in _captions(phrase, language)]))
    if kind == VTT:
        return "WEBVTT\n" + "".join(map(_vtt, captions))
    return "\n".join(_srt(number, caption) for number, caption in enumerate(captions, start=1))


def _vtt(caption: Caption) -> str:
    text = "\n".join(caption.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"\n{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n{text}\n"


def _srt(number: int, caption: Caption) -> str:
    """Return one caption as SubRip, which has no escapes. Players take `<` for the start of a tag."""
    text = "\n".join(caption.lines).replace("<", "‹").replace(">", "›")  # noqa: RUF001  # meant to look alike
    return f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n{text}\n"


def _clock(milliseconds: int, point: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{fraction:03}"


def _with_screen_times(captions: Sequence[Caption]) -> Iterator[Caption]:
    """Yield the captions with times that viewers can follow and players accept.

    They are in order, do not overlap, and stay long enough to read where there is room.
    """
    end = 0
    for index, caption in enumerate(captions):
        start = max(caption.start, end)
        next_start = captions[index + 1].start if index + 1 < len(captions) else start + LONGEST_MS
        latest_end = max(next_start, start + FRAME_MS)
        end = min(max(caption.end, start + READABLE_MS), latest_end, start + LONGEST_MS)
        yield Caption(start, end, caption.lines)


# Timing: when each piece of a phrase is spoken


def _timed_pieces(phrase: Phrase, language: str) -> list[TimedPiece]:
    """Return the display text in pieces, with the times of the spoken words they stand for.

    Display text and spoken words differ in capitals, punctuation, numbers and masked words, so they are aligned. Pieces
    without a counterpart share the time between their neighbours. Without word times, all share the phrase's time.
    """
    shown = pieces(one_line(phrase.text), language, LINE_COLUMNS)
    spoken = [piece for word in phrase.words for piece in _word_pieces(word, language)]
    timed: list[TimedPiece] = []
    previous_end = phrase.offset
    for tag, shown_start, shown_end, start, end in _alignment(shown, spoken):
        run, counterpart = shown[shown_start:shown_end], spoken[start:end]
        if tag == "equal":
            timed += [replace(timing, piece=piece) for piece, timing in zip(run, counterpart, strict=True)]
        elif counterpart:
            timed += _spread(run, counterpart[0].start, counterpart[-1].end)
        else:
            until = spoken[end].start if end < len(spoken) else phrase.offset + phrase.duration
            timed += _spread(run, previous_end, until)
        previous_end = timed[-1].end if timed else previous_end
    return list(_in_order(timed))


def _word_pieces(word: Word, language: str) -> list[TimedPiece]:
    """Return a spoken word in the same pieces as the display text: as a whole, or by its characters."""
    parts = pieces(one_line(word.text), language, LINE_COLUMNS)
    timed = _spread(parts, word.offset, word.offset + word.duration)
    return [replace(part, mid_word=number < len(timed)) for number, part in enumerate(timed, start=1)]


def _alignment(shown: Sequence[Piece], spoken: Sequence[TimedPiece]) -> Sequence[tuple[str, int, int, int, int]]:
    """Return difflib's opcodes: which pieces of the text stand for which spoken ones."""
    keys = [_key(piece) for piece in shown], [_key(timed.piece) for timed in spoken]
    return SequenceMatcher(None, *keys, autojunk=False).get_opcodes()


def _key(piece: Piece) -> str:
    """Return what the display form and the lexical form of a word have in common."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", piece.text).casefold()))


def _spread(row: Sequence[Piece], start: float, end: float) -> list[TimedPiece]:
    """Return the pieces spread over a stretch of time, in proportion to their width."""
    positions = [0, *accumulate(piece.width for piece in row)]
    per_column = max(0.0, end - start) / (positions[-1] or 1)
    return [
        TimedPiece(piece, start + per_column * first, start + per_column * last)
        for piece, (first, last) in zip(row, pairwise(positions), strict=True)
    ]


def _in_order(timed: Sequence[TimedPiece]) -> Iterator[TimedPiece]:
    """Yield the pieces with times that never go back, whatever times the service gave."""
    previous_end = 0.0
    for part in timed:
        start = max(part.start, previous_end)
        previous_end = max(part.end, start)
        yield replace(part, start=start, end=previous_end)


# Layout: where a phrase is cut into captions, and captions into lines


def _captions(phrase: Phrase, language: str) -> Iterator[Caption]:
    timed = _timed_pieces(phrase, language)
    row = [part.piece for part in timed]
    ends = line_ends(row, LINE_COLUMNS)
    for first, end in _cheapest_cuts(timed, ends):
        lines = _lines(row[first:end], ends[first] - first)
        yield Caption(round(1000 * timed[first].start), round(1000 * timed[end - 1].end), lines)


def _cheapest_cuts(timed: Sequence[TimedPiece], ends: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first piece and the end of each caption, at the least total cost. `ends` comes from `line_ends`."""
    cheapest: list[tuple[float, int]] = [(0.0, 0)] + [(inf, 0)] * len(timed)  # for each end: the cost, the last cut
    widths = [0, *accumulate(part.piece.width + part.piece.space for part in timed)]
    for first in range(len(timed)):
        second_line_end = ends[ends[first]] if ends[first] < len(timed) else len(timed)
        for end in range(first + 1, second_line_end + 1):
            if end > first + 1 and 1000 * (timed[end - 1].end - timed[first].start) > LONGEST_MS:
                break
            empty = 1 - (widths[end] - widths[first]) / (2 * LINE_COLUMNS)
            cost = cheapest[first][0] + 1 + empty * empty + _cost_of_end(timed, first, end)
            cheapest[end] = min(cheapest[end], (cost, first))
    cuts = []
    end = len(timed)
    while end:
        first = cheapest[end][1]
        cuts.append((first, end))
        end = first
    return cuts[::-1]


def _cost_of_end(timed: Sequence[TimedPiece], first: int, end: int) -> float:
    if end == len(timed):
        return 0.0
    last = timed[end - 1]
    too_short = TOO_SHORT if 1000 * (last.end - timed[first].start) < READABLE_MS else 0.0
    return too_short + _cost_of_break(last.piece) + (MID_WORD if last.mid_word else 0.0)


def _cost_of_break(piece: Piece) -> float:
    return SENTENCE_END if piece.ends_sentence else MID_SENTENCE if piece.ends_clause else MID_CLAUSE


def _lines(row: Sequence[Piece], first_line_end: int) -> tuple[str, ...]:
    """Return one line if `row` fits, otherwise two of about the same width. The first ends by `first_line_end`."""
    if first_line_end >= len(row):
        return (joined(row),)

    def cost(cut: int) -> float:
        first, second = columns(joined(row[:cut])), columns(joined(row[cut:]))
        if second > LINE_COLUMNS:
            return inf
        number = BARE_NUMBER if joined(row[cut:]).isdecimal() else 0.0
        return abs(first - second) / LINE_COLUMNS + _cost_of_break(row[cut - 1]) + number

    cut = min(range(1, first_line_end + 1), key=cost)
    return joined(row[:cut]), joined(row[cut:])
