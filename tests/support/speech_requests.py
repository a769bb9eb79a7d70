"""A request that the Speech stand-in accepts, and clips to send."""

import io
import math
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from local.speech import Word

MEDIA = Path(__file__).parent.parent / "media"
PATH = "/speech/recognition/conversation/cognitiveservices/v1"
HEADERS = {
    "Ocp-Apim-Subscription-Key": "local-key",
    "Content-Type": "audio/wav; codecs=audio/pcm; samplerate=16000",
    "Accept": "application/json",
    "Expect": "100-continue",
}
HELLO_WORLD = [Word("hello", 0.2, 0.3), Word("world", 0.6, 0.4)]


def tone(seconds: float, level: int = 8000) -> bytes:
    """Return samples that are not silent."""
    return b"".join(struct.pack("<h", int(level * math.sin(n / 8))) for n in range(round(seconds * 16_000)))


def wav(pcm: bytes, rate: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    with io.BytesIO() as out:
        with wave.open(out, "wb") as sound:
            sound.setparams((channels, width, rate, 0, "NONE", ""))
            sound.writeframes(pcm)
        return out.getvalue()


def in_chunks(body: bytes, size: int = 64 * 1024) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


Post = Callable[..., requests.Response]
