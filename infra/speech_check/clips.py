"""Clips of known timing, made from the spoken sample and silence."""

import io
import random
import struct
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from transcription.speech.encoding import Encoded, as_wav

SAMPLE = Path(__file__).resolve().parent.parent.parent / "local" / "sample.wav"
FRAME_BYTES = BYTES_PER_SECOND // 50
LOUD_RMS = 100  # of 32,767; the sample's silence has less, its speech a hundred times more
BREATH = 0.1  # seconds between two repetitions; no recogniser takes it for a pause


@dataclass(frozen=True)
class Clips:
    """The sample in two halves, 16 kHz mono s16le, each from its first sound to its last."""

    first: bytes
    second: bytes

    @classmethod
    def read(cls, path: Path = SAMPLE) -> "Clips":
        with wave.open(str(path)) as file:
            pcm = file.readframes(file.getnframes())
        sounds = [at for at in range(0, len(pcm), FRAME_BYTES) if _is_loud(pcm[at : at + FRAME_BYTES])]
        middle = (sounds[0] + sounds[-1]) // 2
        split = min(
            (at for at in range(sounds[0], sounds[-1], FRAME_BYTES) if at not in set(sounds)),
            key=lambda at: abs(at - middle),
        )
        before = [at for at in sounds if at < split]
        after = [at for at in sounds if at > split]
        return cls(pcm[before[0] : before[-1] + FRAME_BYTES], pcm[after[0] : after[-1] + FRAME_BYTES])

    def apart(self, seconds: float) -> bytes:
        """Return both halves with that much silence between them."""
        return self.first + silence(seconds) + self.second

    def running(self, seconds: float) -> bytes:
        """Return speech without a pause, of exactly this length."""
        once = self.first + silence(BREATH) + self.second + silence(BREATH)
        size = round(seconds * SAMPLE_RATE) * SAMPLE_BYTES
        return (once * (size // len(once) + 1))[:size]


def silence(seconds: float) -> bytes:
    return bytes(round(seconds * SAMPLE_RATE) * SAMPLE_BYTES)


def noise(seconds: float) -> bytes:
    """Return a hiss, always the same."""
    generator = random.Random(0)  # noqa: S311  # no secret
    return array("h", (generator.randint(-3000, 3000) for _ in range(round(seconds * SAMPLE_RATE)))).tobytes()


def at_8_khz(pcm: bytes) -> Encoded:
    """Return a telephone's WAV file, under the content type of a right one."""
    half = array("h", pcm)[::2].tobytes()
    layout = struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
    header = b"RIFF" + struct.pack("<I", 36 + len(half)) + b"WAVEfmt " + struct.pack("<I", 16) + layout
    right = as_wav(pcm)
    return Encoded(right.content_type, header + b"data" + struct.pack("<I", len(half)), half, right.seconds)


def as_mp3(pcm: bytes) -> Encoded:
    """Return an mp3 file, under the content type of a WAV file."""

    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame(format="s16p", layout="mono", samples=len(pcm) // SAMPLE_BYTES)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    right = as_wav(pcm)
    return Encoded(right.content_type, b"", file.getvalue(), right.seconds)


def _is_loud(frame: bytes) -> bool:
    samples = array("h", frame)
    return sum(sample * sample for sample in samples) > LOUD_RMS**2 * len(samples)
