"""Recordings of every format that were damaged afterwards. A number always gives the same file."""

import random
import struct
from collections.abc import Callable
from functools import cache

from tests.support.recordings import FORMATS, SPEECH, encode_as

HEAD_BYTES = 4096
MAGIC = (
    *(b"RIFF\0\0\0\0WAVEfmt ", b"RF64", b"riff", b"FORM", b"caff", b".snd", b"fLaC", b"OggS\0\2", b"ID3\4\0\0"),
    *(
        b"\xff\xfb\x90\0",
        b"\xff\xf1\x50\x80",
        b"#!AMR\n",
        b"\x1aE\xdf\xa3",
        b"\0\0\0\x20ftypM4A ",
        b"FLV\1",
        b"G@\0\x10",
    ),
    *(b"0&\xb2u\x8ef\xcf\x11", b"\0\0\1\xba"),
)
NASTY = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def flipped(content: bytes, dice: random.Random) -> bytes:
    """Flip some bits: from one per 100,000 bytes to one per 100 bytes."""
    damaged = bytearray(content)
    for _ in range(max(1, int(len(content) * 10 ** dice.uniform(-5, -2)))):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def overwritten(content: bytes, dice: random.Random) -> bytes:
    """Overwrite up to 5 kB with noise or zeros."""
    start, length = dice.randrange(len(content)), dice.randrange(1, 5000)
    noise = dice.randbytes(length) if dice.random() < 0.5 else bytes(length)
    return content[:start] + noise + content[start + length :]


def without_beginning(content: bytes, dice: random.Random) -> bytes:
    return content[dice.randrange(1, min(len(content), 2000)) :]


def shuffled(content: bytes, dice: random.Random) -> bytes:
    size = max(1, len(content) // 9)
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    dice.shuffle(pieces)
    return b"".join(pieces)


def nasty_numbers(content: bytes, dice: random.Random) -> bytes:
    """Put absurd sizes, counts and rates into the head of the file."""
    damaged = bytearray(content)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(max(1, min(len(damaged), HEAD_BYTES) - 4))
        damaged[at : at + 4] = struct.pack(dice.choice(("<I", ">I")), dice.choice(NASTY))
    return bytes(damaged)


DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    cut, flipped, overwritten, without_beginning, shuffled, nasty_numbers,
)  # fmt: skip


@cache
def whole(name: str) -> bytes:
    return encode_as(name, SPEECH[:12_000])


NAMES = tuple(f"{name}, {damage.__name__}" for name in FORMATS for damage in DAMAGE)


def damaged(number: int) -> bytes:
    """Return a file in one of the formats with one kind of damage."""
    name, _, kind = NAMES[number % len(NAMES)].rpartition(", ")
    return next(damage for damage in DAMAGE if damage.__name__ == kind)(whole(name), random.Random(number))


def header(number: int) -> bytes:
    """Return the damaged beginning of a file: of one format, of two joined together, or a signature and noise."""
    dice = random.Random(number)
    if dice.random() < 0.3:
        return dice.choice(MAGIC) + dice.randbytes(dice.randrange(3000))
    head = whole(dice.choice(list(FORMATS)))[: dice.randrange(20, HEAD_BYTES)]
    if dice.random() < 0.2:
        head = head[: dice.randrange(len(head))] + whole(dice.choice(list(FORMATS)))[:HEAD_BYTES]
    for _ in range(dice.randrange(1, 3)):
        head = dice.choice((flipped, nasty_numbers, overwritten))(head, dice)
    return head
