"""A clip's samples → a file of a kind that the service takes."""

import struct
from dataclasses import dataclass

SAMPLE_RATE = 16_000  # Hz
SAMPLE_BYTES = 2  # 16-bit samples, one channel


@dataclass(frozen=True)
class Encoded:
    """A whole small audio file; `header` is sent with the first chunk only."""

    content_type: str
    header: bytes
    body: bytes
    seconds: float


def as_wav(pcm: bytes) -> Encoded:
    """16 kHz mono s16le samples under a canonical RIFF header, whatever header they came with."""
    layout = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, SAMPLE_RATE * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
    header = b"RIFF" + struct.pack("<I", 36 + len(pcm)) + b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
    header += b"data" + struct.pack("<I", len(pcm))
    content_type = f"audio/wav; codecs=audio/pcm; samplerate={SAMPLE_RATE}"
    return Encoded(content_type, header, pcm, len(pcm) / SAMPLE_BYTES / SAMPLE_RATE)
