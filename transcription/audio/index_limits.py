"""Rejects indexes that would take far more memory than they have bytes in the file.

A 4 kB MP4 file may declare 90 million samples of one size. libav then allocates gigabytes of index entries in a single
call, without reading any further, and has no option to prevent that. So the bytes that it reads are searched for the
few tables that can do this. ISO/IEC 14496-12 describes MP4's, Apple's Core Audio Format Specification `pakt`.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

MAX_ENTRIES = 4_000_000  # in all tables, of about 40 bytes each in memory; two hours of video have a million
FRAGMENT_ENTRIES = 32  # counted per fragment, because libav stores it for each stream
MAX_BOXES = 5_000  # visited per search; a file has a few hundred
INFO_BYTES_PER_ENTRY = 8  # of a WAV or AVI file's title and such, which take as much memory as an entry
TAIL_BYTES = 64  # kept from the read before, since a table may span two reads; longer than any pattern
TABLE_NAMES = (b"stsz", b"stz2", b"trun", b"pakt", b"sidx", b"moof", b"cmov", b"LIST")
TABLE_PATTERN = re.compile(
    rb"st(?:sz|z2).{8}(?P<samples>.{4})"
    rb"|trun.{4}(?P<run>.{4})"
    rb"|pakt.{8}(?P<packets>.{8})"
    rb"|sidx\0.{21}(?P<short_references>.{2})|sidx[^\0].{29}(?P<long_references>.{2})"
    rb"|LIST(?P<info_bytes>.{4})INFO"
    rb"|(?P<fragment>moof)"
    rb"|cmov.{4}(?P<compressed>dcom)",
    re.DOTALL,
)
CONTAINER_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


class IndexLimits:
    """A count of the index entries that one file makes libav allocate.

    fragmented: an MP4 fragment was seen.
    reading_header: set this to False once the audio is found.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.fragmented = False
        self.reading_header = True
        self._file, self._size = file, size
        self._tail = b""
        self._tail_end = 0
        self._entries = 0
        self._riff_order: Literal["big", "little"] = "little"

    def allow(self, block: bytes, position: int) -> bool:
        """Count the tables in a block that was read at `position`. Return whether the file is still within limits."""
        tail = self._tail if position == self._tail_end else b""
        window, start = tail + block, position - len(tail)
        if position == 0 and block.startswith(b"RIFX"):
            self._riff_order = "big"
        self._tail, self._tail_end = window[-TAIL_BYTES:], position + len(block)
        if not any(name in window for name in TABLE_NAMES):
            return True
        for table in TABLE_PATTERN.finditer(window):
            if table.end() > len(tail):  # else it was counted with the block before
                self._entries += self._count(table, start + table.start())
        return self._entries <= MAX_ENTRIES

    def _count(self, table: re.Match[bytes], position: int) -> int:
        """Return the entries that libav allocates for the table at `position`."""
        kind, value = next((kind, value) for kind, value in table.groupdict().items() if value)
        count = int.from_bytes(value)
        match kind:
            case "fragment":
                self.fragmented = True
                return FRAGMENT_ENTRIES
            case "run":  # in a file without fragments, these bytes are audio that happens to look like a table
                return count if self.fragmented else 0
            case _ if not self.reading_header:  # after the header, the same is true of all other tables
                return 0
            case "compressed":  # a compressed index, which some programs wrote before 2000
                return MAX_ENTRIES + 1
            case "samples" if count > MAX_ENTRIES and position in _uncompressed(self._file, self._size):
                return 0
            case "info_bytes":  # libav allocates them, even if the file does not have them
                return int.from_bytes(value, self._riff_order) // INFO_BYTES_PER_ENTRY
            case "short_references" | "long_references":
                return count * FRAGMENT_ENTRIES
        return count


def _uncompressed(file: BinaryIO, size: int) -> set[int]:
    """Return the positions of the sample tables of uncompressed audio.

    There, each sample lasts one unit of the clock, and libav stores an entry per chunk only.
    """
    positions: set[int] = set()
    size_tables: list[int] = []
    unit_durations: list[bool] = []
    for name, start in _boxes(file, size):
        if name == b"stbl":
            size_tables, unit_durations = [], []
        elif name in (b"stsz", b"stz2"):
            size_tables.append(start - 4)
        elif name == b"stts":
            file.seek(start + 4)
            entries, _, duration = struct.unpack(">III", file.read(12).ljust(12))
            unit_durations.append(entries == duration == 1)
        if len(size_tables) == 1 and unit_durations == [True]:
            positions.add(size_tables[0])
        else:
            positions.difference_update(size_tables)
    return positions


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield (name, start of content) of the MP4 boxes on the way to the tables, outer boxes before inner ones."""
    pending = [(0, size)]  # (position of the next box, end of the box around it), innermost last
    for _ in range(MAX_BOXES):
        while pending and pending[-1][0] + 8 > pending[-1][1]:
            pending.pop()
        if not pending:
            return
        position, limit = pending.pop()
        file.seek(position)
        length, name = struct.unpack(">I4s", file.read(8).ljust(8))
        header = 8
        if length == 1:
            header, length = 16, int.from_bytes(file.read(8))
        elif length == 0:
            length = limit - position
        if length < header:
            return
        pending.append((position + length, limit))
        yield name, position + header
        if name in CONTAINER_BOXES:
            pending.append((position + header, min(position + length, limit)))
