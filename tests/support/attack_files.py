"""Files that make a decoder produce far more than they hold, or take far more time than they have sound.

Each was seen to do harm: thousands of frames of one packet were held at once, or a packet was read for each sample.
They are made when they are needed, since some are large.
"""

import struct
from collections.abc import Callable, Mapping
from functools import partial

from tests.support.matroska import block, matroska, wave_format
from tests.support.media_files import encode, speech

RATE = 4_000  # Hz, the lowest that is supported: the most seconds of sound for each byte
PCM, MS_ADPCM, IMA_ADPCM, WMA_2, G722 = 0x0001, 0x0002, 0x0011, 0x0161, 0x028F
WMA_PRIVATE = struct.pack("<IH4x", 0, 1)  # no bit reservoir, so that each byte makes a frame
MOST_LACED = 256  # packets in a block of Matroska
ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")  # 54 bytes before the WAVEFORMATEX of a stream


def in_block(private: bytes, content: bytes) -> bytes:
    """Return a Matroska file with this WAVEFORMATEX structure, whose sound is one block."""
    return matroska("A_MS/ACM", private, RATE, 1, [block(content)])


def one_block(tag: int, block_align: int, bits: int, size: int, more: bytes = b"") -> bytes:
    return in_block(wave_format(tag, 1, RATE, block_align, bits, more), b"\x55" * size)


def laced(seconds: int) -> bytes:
    """Return a Matroska file with a packet for each sample."""
    private = wave_format(PCM, 1, RATE, 1, 8)
    blocks = [block(b"\x80" * MOST_LACED, MOST_LACED)] * (seconds * RATE // MOST_LACED)
    return matroska("A_MS/ACM", private, RATE, 1, blocks, MOST_LACED * 1000 // RATE)


def riff(kind: bytes, *chunks: bytes) -> bytes:
    body = kind + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wave(private: bytes, content: bytes) -> bytes:
    """Return a WAV file with this WAVEFORMATEX structure."""
    return riff(b"WAVE", chunk(b"fmt ", private), chunk(b"data", content))


def avi(private: bytes, content: bytes) -> bytes:
    """Return an AVI file with this WAVEFORMATEX structure, whose sound is one packet."""
    head = struct.pack("<14I", 1000, 0, 0, 0x10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    stream = b"auds" + struct.pack("<11I8x", 0, 0, 0, 0, 1, RATE, 0, 1, 0, 0, 0)
    streams = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", private))
    movie = chunk(b"LIST", b"movi" + chunk(b"00wb", content))
    return riff(b"AVI ", chunk(b"LIST", b"hdrl" + chunk(b"avih", head) + streams), movie)


def wma(container: Callable[[bytes, bytes], bytes], size: int) -> bytes:
    """Return a file whose decoder makes a frame of each byte."""
    return container(wave_format(WMA_2, 1, RATE, 1, 16, WMA_PRIVATE), b"\x55" * size)


def wma_in_asf() -> bytes:
    content = bytearray(encode(speech(), "asf", "wmav2", bit_rate=64000))
    struct.pack_into("<H", content, content.index(ASF_AUDIO) + 54 + 12, 1)
    return bytes(content)


def video_file(samples: int) -> bytes:
    """Return an FLV file at 44.1 kHz with a packet for each sample, which declares three hours."""

    def tag(kind: int, milliseconds: int, body: bytes) -> bytes:
        head = bytes([kind]) + len(body).to_bytes(3) + milliseconds.to_bytes(3) + bytes(4)
        return head + body + struct.pack(">I", len(head) + len(body))

    length = b"\x08" + struct.pack(">I", 1) + b"\0\x08duration\0" + struct.pack(">d", 3 * 3600) + b"\0\0\x09"
    head = b"FLV\1\4\0\0\0\x09" + bytes(4) + tag(18, 0, b"\2\0\x0aonMetaData" + length)
    before, _, after = tag(8, 0xABCDEF, b"\x3c\x80").partition(b"\xab\xcd\xef")
    return head + b"".join([before + (number * 10 // 441).to_bytes(3) + after for number in range(samples)])


def voice_file(samples: int) -> bytes:
    """Return a VOC file at 50 kHz with a block for each sample. It takes about as much CPU time as it has audio."""
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x010A, 0x1129)
    first = b"\1" + struct.pack("<I", 3)[:3] + bytes([256 - 20, 0, 0x80])
    return head + first + b"\2\1\0\0\x80" * (samples - 1) + b"\0"


ONE_PACKET: Mapping[str, Callable[[], bytes]] = {
    **{f"{size} MB of PCM in a block": partial(one_block, PCM, 1, 8, size << 20) for size in (1, 8, 31)},
    **{f"{size} kB of WMA in a packet of AVI": partial(wma, avi, size << 10) for size in (64, 512)},
    "64 kB of WMA in WAV": partial(wma, wave, 64 << 10),
    "WMA in ASF": wma_in_asf,
}
UNUSUAL_PAIRS: Mapping[str, Callable[[], bytes]] = {
    **{f"{size} MB of G.722 in a block": partial(one_block, G722, 1, 4, size << 20) for size in (1, 8, 31)},
    "8 MB of MS ADPCM in a block": partial(one_block, MS_ADPCM, 7, 4, 8 << 20, struct.pack("<HHhh", 2, 1, 256, 0)),
    "8 MB of IMA ADPCM in a block": partial(one_block, IMA_ADPCM, 4, 4, 8 << 20, b"\1\0"),
    **{f"{size} kB of WMA in a block": partial(wma, in_block, size << 10) for size in (64, 512)},
}
MANY_PACKETS: Mapping[str, Callable[[], bytes]] = {
    "a laced packet for each sample": partial(laced, 300),
    "a packet for each sample": partial(voice_file, 1_000_000),
    "a packet for each sample of a video": partial(video_file, 1_000_000),
}
