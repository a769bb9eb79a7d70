"""Numbers in the headers of media files, by name, and values that no recorder writes there."""

import random
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

ASF_STREAM = re.escape(bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b"))  # of an audio stream's properties
ASF_FILE = re.escape(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))


@dataclass(frozen=True)
class Field:
    """A number that begins `offset` bytes after the beginning of a pattern."""

    pattern: bytes
    offset: int
    kind: str  # as `struct` has it

    def change(self, content: bytearray, dice: random.Random) -> bool:
        """Give one of its occurrences another value. Return False if there is none."""
        places = [found.start() + self.offset for found in re.finditer(self.pattern, content, re.DOTALL)]
        places = [place for place in places if place + struct.calcsize(self.kind) <= len(content)]
        if not places:
            return False
        place = dice.choice(places)
        (old,) = struct.unpack_from(self.kind, content, place)
        struct.pack_into(self.kind, content, place, another(old, self.kind, dice))
        return True


def another(old: float, kind: str, dice: random.Random) -> float:
    """Return a value at the edges of the field, near the old one, or anywhere."""
    if kind[-1] in "fd":
        return dice.choice((0.0, -1.0, 1.0, 3999.0, 4000.0, 384e3, 1e30, float("inf"), float("nan"), old * 2))
    bits = 8 * struct.calcsize(kind)
    low = -(1 << bits - 1) if kind[-1].islower() else 0
    high = low + (1 << bits) - 1
    near = (int(old) - 1, int(old) + 1, int(old) * 2, int(old) // 2, int(old) * 256)
    anywhere = dice.randrange(low, high + 1) >> dice.randrange(bits)
    value = dice.choice((low, 0, 1, 2, 3, 255, high // 2, high // 2 + 1, high - 1, high, *near, anywhere, anywhere))
    return max(low, min(high, value))


def _fields(pattern: bytes, kinds: Mapping[int, str]) -> tuple[Field, ...]:
    return tuple(Field(pattern, offset, kind) for offset, kind in kinds.items())


def _wave_format(pattern: bytes, start: int) -> tuple[Field, ...]:
    """Tag, channels, rate, bytes per second, block_align, bits, and the first parameters of the codec."""
    kinds = {0: "<H", 2: "<H", 4: "<I", 8: "<I", 12: "<H", 14: "<H", 16: "<H", 18: "<H", 20: "<H", 22: "<H"}
    return _fields(pattern, {start + offset: kind for offset, kind in kinds.items()})


_PES = _fields(rb"\0\0\x01[\xbd\xc0-\xdf]", {4: ">H", 6: ">H", 8: ">B", 9: ">I", 13: ">B"})  # size, flags, timestamps
_RIFF = (
    *_wave_format(rb"fmt ", 8),
    *_wave_format(rb"fmt \xf3", 24),  # w64
    *_fields(rb"data", {4: "<I"}),
    *_fields(rb"data\xf3", {16: "<Q"}),
    *_fields(rb"fact", {4: "<I", 8: "<I"}),
)
_AVI = (
    *_wave_format(rb"strf", 8),
    *_fields(rb"strh", {8: "<I", 28: "<I", 32: "<I", 36: "<I", 40: "<I", 52: "<I"}),  # scale, rate, start, length, size
    *_fields(rb"avih", {8: "<I", 12: "<I", 20: "<I", 24: "<I"}),
    *_fields(rb"0[01]wb", {4: "<I", 8: "<I", 12: "<I"}),  # a packet's size, or its entry in the index
)
_ASF = (
    *_wave_format(ASF_STREAM, 54),
    *_fields(ASF_STREAM, {32: "<Q", 40: "<I", 44: "<I", 72: "<I", 76: "<I"}),
    *_fields(ASF_FILE, {56: "<Q", 64: "<Q", 80: "<Q", 88: "<I", 92: "<I", 96: "<I"}),  # times, and the packets' sizes
    *_fields(rb"\x82\0\0", {3: ">B", 4: ">B", 5: "<H", 7: "<I", 11: "<H"}),  # the beginning of a packet
)
_MOV = (
    *_fields(rb"elst", {8: ">I", 12: ">I", 16: ">i", 20: ">I"}),
    *_fields(rb"stts", {8: ">I", 12: ">I", 16: ">I"}),
    *_fields(rb"stsz", {8: ">I", 12: ">I", 16: ">I", 20: ">I"}),
    *_fields(rb"stsc", {8: ">I", 12: ">I", 16: ">I", 20: ">I"}),
    *_fields(rb"stco", {8: ">I", 12: ">I", 16: ">I"}),
    *_fields(rb"[mt][dvk]hd", {4: ">B", 16: ">I", 20: ">I"}),  # version, clock, duration
    *_fields(rb"stsd", {8: ">I", 16: ">I", 32: ">H", 40: ">H", 42: ">H", 46: ">H", 48: ">I", 52: ">I", 56: ">I"}),
    *_fields(rb"t(run|fhd|fdt)", {4: ">I", 8: ">I", 12: ">I", 16: ">I"}),
    *_fields(rb"trex", {12: ">I", 16: ">I", 20: ">I"}),
    *_fields(rb"(esds|alac|dOps|dfLa|dac3)", {4: ">I", 8: ">I", 12: ">I", 16: ">I", 20: ">I", 24: ">I"}),
)
_CAF = (
    *_fields(rb"desc", {12: ">d", 24: ">I", 28: ">I", 32: ">I", 36: ">I", 40: ">I"}),
    *_fields(rb"pakt", {4: ">Q", 12: ">q", 20: ">q", 28: ">i", 32: ">i", 36: ">I"}),
    *_fields(rb"kuki", {4: ">Q", 12: ">I", 16: ">I", 24: ">I", 28: ">I"}),
)
_MATROSKA = (
    *_fields(rb"\xb5\x88", {2: ">d"}),  # the rate
    *_fields(rb"\x9f\x81", {2: ">B"}),  # channels
    *_fields(rb"\x62\x64\x81", {3: ">B"}),  # bits
    *_fields(rb"\x2a\xd7\xb1\x83", {4: ">H"}),  # the clock
    *_fields(rb"\x44\x89\x88", {3: ">d"}),
    *_fields(rb"\x1f\x43\xb6\x75", {4: ">B", 5: ">I", 12: ">H", 14: ">I"}),  # a cluster's size and its time
    *_fields(rb"\xa3[\x40-\x5f].\x81", {1: ">H", 4: ">h", 6: ">B", 7: ">B"}),  # a block's size, time, laces
    *_fields(rb"\xa3[\x80-\xff]\x81", {1: ">B", 3: ">h", 5: ">B", 6: ">B"}),
    *_fields(rb"(\x56\xaa|\x56\xbb|\x23\xe3\x83)", {2: ">B", 3: ">I"}),  # delays, and the length of a packet
)
_OGG = (
    *_fields(rb"OggS", {4: ">B", 5: ">B", 6: "<q", 14: "<I", 18: "<I", 26: ">B", 27: ">B", 28: ">B", 29: ">B"}),
    *_fields(rb"OpusHead", {8: ">B", 9: ">B", 10: "<H", 12: "<I", 16: "<h", 18: ">B", 19: ">B", 20: ">B"}),
    *_fields(rb"\x01vorbis", {7: "<I", 11: ">B", 12: "<I", 16: "<I", 28: ">B"}),
)
_FLV = _fields(rb"\x08.{3}.{4}\0\0\0", {1: ">H", 3: ">B", 4: ">H", 6: ">B", 7: ">B", 11: ">B", 12: ">B"})
_FLAC = _fields(rb"fLaC", {4: ">B", 8: ">H", 10: ">H", 12: ">I", 18: ">I", 20: ">I", 22: ">I"})

# Muxer → fields. An occurrence in the sound itself is changed as well: that is damage to a packet.
FIELDS: Mapping[str, tuple[Field, ...]] = {
    "adts": _fields(rb"\xff[\xf0\xf1\xf9]", {2: ">B", 3: ">I", 6: ">B"}),
    "aiff": (
        *_fields(rb"COMM", {8: ">h", 10: ">I", 14: ">h", 16: ">H", 18: ">I", 26: ">I"}),
        *_fields(rb"SSND", {4: ">I", 8: ">I", 12: ">I"}),
    ),
    "amr": _fields(rb"#!AMR", {6: ">B", 7: ">I", 19: ">B"}),
    "asf": _ASF,
    "au": _fields(rb"\.snd", {4: ">I", 8: ">I", 12: ">I", 16: ">I", 20: ">I"}),
    "avi": _AVI,
    "caf": _CAF,
    "flac": (*_FLAC, *_fields(rb"\xff\xf8", {2: ">B", 3: ">B", 4: ">B", 5: ">H"})),
    "flv": _FLV,
    "ipod": _MOV,
    "matroska": (*_MATROSKA, *_wave_format(rb"\x63\xa2.", 3)),
    "mov": _MOV,
    "mp3": (
        *_fields(rb"\xff[\xf2\xf3\xfa\xfb]", {1: ">B", 2: ">B", 3: ">B"}),
        *_fields(rb"(Info|Xing)", {4: ">I", 8: ">I", 12: ">I", 141: ">H", 142: ">H"}),
    ),
    "mp4": _MOV,
    "mpeg": (*_PES, *_fields(rb"\0\0\x01\xba", {4: ">I", 8: ">I"})),
    "mpegts": (*_PES, *_fields(rb"G[\x40\x41]", {1: ">H", 3: ">B", 4: ">B", 5: ">B", 6: ">I", 13: ">H"})),
    "ogg": _OGG,
    "voc": _fields(rb"Creative", {20: "<H", 26: ">B", 27: "<H", 29: ">B", 30: ">B", 31: ">B"}),
    "w64": _RIFF,
    "wav": _RIFF,
    "webm": _MATROSKA,
}
