"""Refuses indexes that would take far more memory than they take bytes in the file.

An MP4 file of 4 kB may say that it has 90 million samples of one size each: libav then makes gigabytes of entries, in
one call, without reading on. It has no option against that. So the bytes that it reads are looked through for the few
tables that can do so; see ISO/IEC 14496-12 for MP4's, and Apple's Core Audio Format Specification for `pakt`.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

MOST_ENTRIES = 4_000_000  # of all tables, some 40 bytes each in memory; two hours of video have a million
FRAGMENT_ENTRIES = 32  # that a fragment counts for: it is kept for each stream
MOST_BOXES = 5_000  # looked at; a file has some hundred
INFO_BYTES = 8  # of a WAV or AVI file's title and such, for which as much memory is taken as for an entry
_TAIL = 64  # bytes; longer than any pattern, of which one read may have the beginning and the next the end
_TABLE = re.compile(
    rb"st(?:sz|z2).{8}(?P<samples>.{4})"
    rb"|trun.{4}(?P<run>.{4})"
    rb"|pakt.{8}(?P<packets>.{8})"
    rb"|sidx\0.{21}(?P<short>.{2})|sidx[^\0].{29}(?P<long>.{2})"
    rb"|LIST(?P<info>.{4})INFO"
    rb"|(?P<fragment>moof)"
    rb"|cmov.{4}(?P<hidden>dcom)",
    re.DOTALL,
)
_NAMES = (b"stsz", b"stz2", b"trun", b"pakt", b"sidx", b"moof", b"cmov", b"LIST")
_NESTED = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}


class IndexLimits:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self._tail = b""
        self._end = 0
        self._entries = 0
        self.fragments = False
        self._riff_order: Literal["big", "little"] = "little"
        self.opening = True

    def bounded(self, block: bytes, position: int) -> bool:
        """Whether what has been read so far is within bounds; `block` was read at `position` just now."""
        tail = self._tail if position == self._end else b""
        window, start = tail + block, position - len(tail)
        if position == 0 and block.startswith(b"RIFX"):
            self._riff_order = "big"
        self._tail, self._end = window[-_TAIL:], position + len(block)
        if not any(name in window for name in _NAMES):
            return True
        for table in _TABLE.finditer(window):
            if table.end() > len(tail):  # else it was counted with the block before
                self._entries += self._count(table, start + table.start())
        return self._entries <= MOST_ENTRIES

    def _count(self, table: re.Match[bytes], position: int) -> int:
        kind, value = next((kind, value) for kind, value in table.groupdict().items() if value)
        count = int.from_bytes(value)
        match kind:
            case "fragment":
                self.fragments = True
                return FRAGMENT_ENTRIES
            case "run":  # in files without fragments it is sound that happens to look like it
                return count if self.fragments else 0
            case _ if not self.opening:  # the same goes for the others once the header is read
                return 0
            case "hidden":  # a compressed index, as some wrote before 2000
                return MOST_ENTRIES + 1
            case "samples" if count > MOST_ENTRIES and position in _uncompressed(self._file, self._size):
                return 0
            case "info":  # as many bytes, whether or not they are there
                return int.from_bytes(value, self._riff_order) // INFO_BYTES
            case "short" | "long":
                return count * FRAGMENT_ENTRIES
        return count


def _uncompressed(file: BinaryIO, size: int) -> set[int]:
    """Where the sample tables of uncompressed audio are: each sample is as long as the clock's unit, so libav keeps
    an entry for each chunk of them only.
    """
    found: set[int] = set()
    sizes: list[int] = []
    units: list[bool] = []
    for name, start in _boxes(file, size):
        if name == b"stbl":
            sizes, units = [], []
        elif name in (b"stsz", b"stz2"):
            sizes.append(start - 4)
        elif name == b"stts":
            file.seek(start + 4)
            entries, _, duration = struct.unpack(">III", file.read(12).ljust(12))
            units.append(entries == duration == 1)
        if len(sizes) == 1 and units == [True]:
            found.add(sizes[0])
        else:
            found.difference_update(sizes)
    return found


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """(name, start of content) of MP4's boxes on the way to its tables, those within others after these."""
    pending = [(0, size)]
    for _ in range(MOST_BOXES):
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
        if name in _NESTED:
            pending.append((position + header, min(position + length, limit)))
