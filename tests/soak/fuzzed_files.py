"""Files of a container, a codec and parameters that do not fit. A number always gives the same file.

Most are made by FFmpeg's encoders and muxers, and then some named fields get other values. The others are made by hand,
since no muxer writes such headers at all.
"""

import random
import re
import struct
from functools import cache

from av.error import FFmpegError

from tests.soak.fields import FIELDS
from tests.support.attack_files import WMA_PRIVATE, avi, wave
from tests.support.matroska import block, matroska, wave_format
from tests.support.media_files import encode
from tests.support.recordings import SPEECH

SOUND = SPEECH[:12_000]
RATES = (44_100, 48_000, 16_000, 8_000)
CODECS = (  # encoders
    "aac ac3 eac3 alac flac libopus vorbis libmp3lame mp2 wmav1 wmav2 nellymoser g722 g726 g726le adpcm_ima_qt"
    " adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha libopencore_amrnb pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le"
    " pcm_s24be pcm_s32le pcm_f32le pcm_f64le pcm_alaw pcm_mulaw pcm_dvd pcm_bluray wavpack"
)
NEEDS_BIT_RATE, NEEDS_STEREO = ("wmav1", "wmav2"), ("vorbis",)
FRAGMENTED = {"movflags": "empty_moov", "frag_duration": "200000"}
TAGS = (
    *(0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0020, 0x0031, 0x0042, 0x0045, 0x0050, 0x0055, 0x0064),
    *(0x0083, 0x00FF, 0x0160, 0x0161, 0x0162, 0x0163, 0x028F, 0x2000, 0x566F, 0xA106, 0xF1AC),
)
NAMES = ("A_MS/ACM", "A_MS/ACM", "A_PCM/INT/LIT", "A_AAC", "A_AC3", "A_MPEG/L3", "A_OPUS", "A_FLAC", "A_VORBIS")
SIZES = (1, 2, 7, 64, 255, 4_096, 65_536)  # of packets
MOST_CHANGES = 4  # of fields
MOST_BLOCKS = 200


@cache
def encoded(container: str, codec: str, *, in_fragments: bool) -> bytes | None:
    """Return a file of this pair, or None if there is none."""
    for rate in RATES:
        try:
            return encode(
                [SOUND, SOUND] if codec in NEEDS_STEREO else SOUND,
                container,
                codec,
                rate=rate,
                bit_rate=64_000 if codec in NEEDS_BIT_RATE else None,
                options=FRAGMENTED if in_fragments else None,
                codec_options={"strict": "-2"},
            )
        except (FFmpegError, ValueError):
            continue
    return None


def fuzzed(number: int) -> bytes:
    dice = random.Random(number)
    choice = dice.random()
    return changed(dice) if choice < 0.7 else in_matroska(dice) if choice < 0.9 else in_riff(dice)


def changed(dice: random.Random) -> bytes:
    """Return a file of any pair that can be made, with other values in some of its fields."""
    container = dice.choice(tuple(FIELDS))
    content = None
    while content is None:
        content = encoded(
            container, dice.choice(CODECS.split()), in_fragments=container == "mp4" and dice.random() < 0.5
        )
    damaged = bytearray(content)
    changes = dice.randrange(1, MOST_CHANGES + 1)
    for field in dice.sample(FIELDS[container], len(FIELDS[container])):
        changes -= field.change(damaged, dice)
        if not changes:
            break
    return with_checksums(damaged) if container == "ogg" else bytes(damaged)


def parameters(dice: random.Random) -> bytes:
    """Return a WAVEFORMATEX structure in which anything may be wrong."""
    rate = dice.choice((4_000, 8_000, 44_100, 384_000, dice.randrange(1 << 32)))
    align = dice.choice((0, 1, 2, 36, 1024, 0xFFFF))
    more = dice.choice((b"", WMA_PRIVATE, dice.randbytes(dice.randrange(40))))
    return wave_format(
        dice.choice(TAGS), dice.choice((1, 1, 2, 16, 255)), rate, align, dice.choice((0, 4, 8, 16)), more
    )


def sound(dice: random.Random, size: int) -> bytes:
    return dice.choice((bytes(size), b"\x55" * size, dice.randbytes(size)))


def in_matroska(dice: random.Random) -> bytes:
    """Return a Matroska file with blocks of any size, in laces, and with clusters at any time."""
    name = dice.choice(NAMES)
    private = parameters(dice) if name == "A_MS/ACM" else dice.choice((b"", dice.randbytes(19)))
    laces, size = dice.choice((1, 1, 2, 8, 256)), dice.choice(SIZES)
    blocks = [block(sound(dice, size * laces if laces > 1 else size), laces)] * dice.randrange(1, MOST_BLOCKS)
    blocks = blocks[: max(1, (1 << 20) // len(blocks[0]))]
    rate = dice.choice((4_000.0, 48_000.0, 0.0, 1e30))
    return matroska(name, private, rate, dice.choice((1, 2, 255)), blocks, dice.choice((0, 1, 20, 60_000)))


def in_riff(dice: random.Random) -> bytes:
    """Return a WAV file, or an AVI file whose sound is one packet."""
    content = sound(dice, dice.choice((100, 10_000, 300_000)))
    return dice.choice((wave, avi))(parameters(dice), content)


def with_checksums(content: bytearray) -> bytes:
    """Return an OGG file with right checksums, without which its pages are skipped."""
    starts = [found.start() for found in re.finditer(rb"OggS", content)]
    for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
        if end - start >= 27:
            content[start + 22 : start + 26] = bytes(4)
            struct.pack_into("<I", content, start + 22, _checksum(content[start:end]))
    return bytes(content)


def _checksum(page: bytearray) -> int:
    """Return the CRC-32 of OGG, which begins with 0 and shifts to the left."""
    remainder = 0
    for byte in page:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ _checksums()[remainder >> 24 ^ byte]
    return remainder


@cache
def _checksums() -> list[int]:
    table = []
    for byte in range(256):
        remainder = byte << 24
        for _ in range(8):
            remainder = (remainder << 1) ^ (0x104C11DB7 if remainder & 0x80000000 else 0)
        table.append(remainder)
    return table
