"""Small recordings that tests make as they run."""

import math
import struct
from array import array


def murmur(seconds: float, rate: int = 16_000) -> bytes:
    """Return 16-bit samples of a sound that swells and fades four times a second, as speech does."""
    return array(
        "h", (int(8000 * math.sin(n / 7) * math.sin(4 * math.pi * n / rate) ** 2) for n in range(int(seconds * rate)))
    ).tobytes()


def wav(
    pcm: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    extensible: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    claimed: int | None = None,
) -> bytes:
    """Return a WAV file, with optional oddities: chunks `before` and `after` the audio, a wrong `claimed` size."""
    width = channels * bits // 8
    layout = struct.pack("<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * width, width, bits)
    if extensible:
        layout += (
            struct.pack("<HHI", 22, bits, 4) + struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        )
    size = len(pcm) if claimed is None else claimed
    chunks = (
        b"fmt " + struct.pack("<I", len(layout)) + layout + before + b"data" + struct.pack("<I", size) + pcm + after
    )
    whole = 4 + len(chunks) if claimed is None else min(4 + claimed, 0xFFFFFFFF)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + chunks


def chunk(name: bytes, content: bytes) -> bytes:
    """Return one RIFF chunk, padded as the format requires."""
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
