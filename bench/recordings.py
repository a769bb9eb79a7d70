"""Recordings to measure with, made from the tests' spoken phrases.

Encoded ones are made once, in the ignored folder `.local/bench`.
"""

import io
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench.children import WORK
from local.progress import step
from tests.support.speech_corpus import Recording, compose, continuous
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE

MINUTE = 60.0
SHORT_MINUTES, HOUR_MINUTES, LONG_MINUTES = 2.0, 60.0, 119.9  # the limit is 120, and encoders add a little
TALK = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5)  # seconds of pause between phrases
LONG_PAUSES = (0.2, 0.4, 0.7, 5.0, 10.0, 20.0)  # seconds; groups of phrases with long silence between them
PART_MINUTES = 10  # long recordings repeat a part of this length
PACKET = 1024  # samples

KINDS = {
    "m4a": ("ipod", "aac", 44_100),
    "mp3": ("mp3", "libmp3lame", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "44.1 kHz WAV": ("wav", "pcm_s16le", 44_100),
}


def prepare() -> None:
    """Make the recordings that take long to encode, before anything is measured."""
    for kind in KINDS:
        coded(kind, 1)
    for minutes in (SHORT_MINUTES, HOUR_MINUTES, LONG_MINUTES):
        coded("m4a", minutes)


def talk(seconds: float) -> Recording:
    return compose(TALK, None, seconds, seed=1)


def with_long_pauses(seconds: float) -> Recording:
    return compose(LONG_PAUSES, ("white", 45.0), seconds, seed=2)


def without_pauses(seconds: float) -> bytes:
    """Return speech that is cut into the longest clips allowed: up to 58 s are one clip, a minute is two."""
    return continuous(seconds, seed=3).pcm


def wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(SAMPLE_BYTES)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm)
    return file.getvalue()


def coded(kind: str, minutes: float) -> Path:
    """Return the file of such a recording, as a phone or a browser would make it. Make it if it is missing."""
    container, codec, rate = KINDS[kind]
    file = WORK / f"{minutes:g}-minutes.{kind.split()[-1].lower()}"
    if not file.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with step(f"Making {minutes:g} minutes of {kind}", "a second per minute, once"):
            _encode(part, container, codec, rate, minutes)
        part.rename(file)  # last, so that an interrupted one is made again
    return file


def _encode(file: Path, container: str, codec: str, rate: int, minutes: float) -> None:
    with av.open(str(file), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if not codec.startswith("pcm"):
            stream.bit_rate = 64_000
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=PACKET)
        for frame in _frames(minutes):
            for ready in resampler.resample(frame):
                out.mux(stream.encode(ready))
        out.mux(stream.encode(None))


def _frames(minutes: float) -> Iterator[av.AudioFrame | None]:
    samples = np.frombuffer(talk(min(minutes, PART_MINUTES) * MINUTE).pcm, "<i2")
    total, position = round(minutes * MINUTE * SAMPLE_RATE), 0
    while position < total:
        first = position % len(samples)
        piece = samples[first : first + min(SAMPLE_RATE, total - position)]
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, position, Fraction(1, SAMPLE_RATE)
        yield frame
        position += len(piece)
    yield None
