"""Recordings with known words and word times: phrases of four synthetic voices, with chosen pauses and noise.

`media/make.py` made the phrases. The same arguments and seed always give the same recording.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
SPEECH_RMS = 2_000.0  # -24 dBFS; every phrase has this level, so that noise levels can be relative to speech

MEDIA = Path(__file__).parent.parent / "media"

Samples = npt.NDArray[np.float32]
TrueWord = tuple[str, float, float]  # text, start and end in seconds


@dataclass(frozen=True)
class Phrase:
    """One phrase of one voice. Word times count from the phrase's first sample."""

    voice: str
    text: str
    samples: Samples
    words: tuple[TrueWord, ...]


@dataclass(frozen=True)
class Recording:
    """16 kHz mono s16le, and the words in it, with times from its start."""

    pcm: bytes
    words: tuple[TrueWord, ...]

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / SAMPLE_RATE

    def runs(self, pause: float) -> list[tuple[float, float]]:
        """Return (start, end) of each stretch of speech between pauses of at least `pause` seconds."""
        runs: list[tuple[float, float]] = []
        for _, start, end in self.words:
            if runs and start - runs[-1][1] < pause:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((start, end))
        return runs


@cache
def phrases() -> tuple[Phrase, ...]:
    with av.open(str(MEDIA / "phrases.flac")) as media:
        pcm = np.concatenate([frame.to_ndarray()[0] for frame in media.decode(audio=0)]).astype(np.float32)
    result = []
    for entry in json.loads((MEDIA / "phrases.json").read_text()):
        samples = pcm[entry["start"] : entry["start"] + entry["samples"]]
        samples *= SPEECH_RMS / np.sqrt(np.mean(samples**2))
        words = tuple((text, start, end) for text, start, end in entry["words"])
        result.append(Phrase(entry["voice"], entry["text"], samples, words))
    return tuple(result)


def compose(
    pauses: Sequence[float],
    noise: tuple[str, float] | None,
    length_seconds: float,
    seed: int = 0,
    *,
    voices: Sequence[str] = ("slt", "rms", "awb", "kal16"),
    speaker_step_db: float = 0.0,
    lead_seconds: float = 0.5,
    reverberation_seconds: float = 0.0,
    gain_db: float = 0.0,
    offset: float = 0.0,
) -> Recording:
    """Return a recording of phrases in random order, with pauses drawn from `pauses`, up to `length_seconds`.

    A pause lasts from the end of a word to the start of the next. `noise` is a key of `NOISES` and the dB by which its
    RMS is below that of the speech. With `speaker_step_db`, groups of four phrases alternate between full level and
    that much less.
    """
    rng = np.random.default_rng(seed)
    total = int(length_seconds * SAMPLE_RATE)
    signal = np.zeros(total, np.float32)
    words: list[TrueWord] = []
    chosen = [phrase for phrase in phrases() if phrase.voice in voices]
    at = lead_seconds
    for turn in range(total):
        phrase = chosen[rng.integers(len(chosen))]
        first = round((at - phrase.words[0][1]) * SAMPLE_RATE)
        skipped = max(0, -first)
        if first + len(phrase.samples) > total:
            break
        level = 10 ** (-speaker_step_db * (turn // 4 % 2) / 20)
        signal[first + skipped : first + len(phrase.samples)] += level * phrase.samples[skipped:]
        words += [(text, first / SAMPLE_RATE + start, first / SAMPLE_RATE + end) for text, start, end in phrase.words]
        at = words[-1][2] + float(rng.choice(pauses))
    if reverberation_seconds:
        signal = reverberate(signal, reverberation_seconds, rng)
    if noise is not None:
        kind, db_below = noise
        signal += SPEECH_RMS * 10 ** (-db_below / 20) * _unit(NOISES[kind](total, rng))
    return Recording(to_pcm(signal * 10 ** (gain_db / 20) + offset), tuple(words))


def continuous(length_seconds: float, noise: tuple[str, float] | None = None, seed: int = 0) -> Recording:
    """Return speech with no pause over 0.3 s."""
    return compose((0.02, 0.05, 0.1, 0.2, 0.28), noise, length_seconds, seed, lead_seconds=0.1)


def without_words(kind: str, length_seconds: float, seed: int = 0) -> Recording:
    """Return a recording of one kind of `WORDLESS` or `NOISES`."""
    rng = np.random.default_rng(seed)
    sound = (WORDLESS | NOISES)[kind](int(length_seconds * SAMPLE_RATE), rng)
    return Recording(to_pcm(SPEECH_RMS * _unit(sound)), ())


def with_sounds(recording: Recording, sound: Samples, every_pause_over: float) -> Recording:
    """Return the recording with a sound, such as a cough, in the middle of every long pause."""
    signal = np.frombuffer(recording.pcm, "<i2").astype(np.float32)
    for (_, _, end), (_, start, _) in pairwise(recording.words):
        if start - end > every_pause_over:
            first = int((start + end) / 2 * SAMPLE_RATE) - len(sound) // 2
            signal[first : first + len(sound)] += sound
    return Recording(to_pcm(signal), recording.words)


def breath(seed: int = 0) -> Samples:
    """Return a breath: 0.4 s of noise, 25 dB below speech."""
    shape = np.hanning(int(0.4 * SAMPLE_RATE))
    return (SPEECH_RMS / 18 * shape * np.random.default_rng(seed).standard_normal(len(shape))).astype(np.float32)


def cough(seed: int = 0) -> Samples:
    """Return a cough: 0.3 s of noise, louder than speech."""
    samples = int(0.3 * SAMPLE_RATE)
    fall = np.exp(-np.arange(samples) / (0.08 * SAMPLE_RATE))
    return (3 * SPEECH_RMS * fall * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def to_pcm(signal: Samples) -> bytes:
    return np.clip(np.round(signal), -32_768, 32_767).astype("<i2").tobytes()


def _unit(signal: Samples) -> Samples:
    unit: Samples = (signal / np.sqrt(np.mean(signal**2))).astype(np.float32)
    return unit


def white(samples: int, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(samples, np.float32)


def hum(samples: int, rng: np.random.Generator) -> Samples:
    """Return mains hum with its harmonics, and a little hiss."""
    time = np.arange(samples) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * 50 * n * time + n) / n for n in (1, 2, 3, 4, 5, 6, 8, 10))
    return (tones + 0.02 * rng.standard_normal(samples)).astype(np.float32)


def babble(samples: int, rng: np.random.Generator, talkers: int = 8) -> Samples:
    """Return many voices at once, backwards so that there are no words."""
    mixed = np.zeros(samples, np.float32)
    for _ in range(talkers):
        order = rng.permutation(len(phrases()))
        voice = np.concatenate([phrases()[i].samples[::-1] for i in order])
        repeats = -(-samples // len(voice)) + 1
        start = rng.integers(len(voice))
        mixed += np.tile(voice, repeats)[start : start + samples]
    return mixed


def varying(samples: int, rng: np.random.Generator) -> Samples:
    """Return hiss whose level swings by 12 dB within ten seconds, like traffic."""
    time = np.arange(samples) / SAMPLE_RATE
    swing = 6 * np.sin(2 * np.pi * time / 10 + rng.uniform(0, 6.28))
    return (white(samples, rng) * 10 ** (swing / 20)).astype(np.float32)


def stepped(samples: int, rng: np.random.Generator) -> Samples:
    """Return hiss that switches between two levels 10 dB apart every few seconds, like a machine."""
    bounds = np.cumsum(rng.uniform(3, 12, samples // (3 * SAMPLE_RATE) + 2)) * SAMPLE_RATE
    loud = np.searchsorted(bounds, np.arange(samples)) % 2
    return (white(samples, rng) * 10 ** (-loud / 2)).astype(np.float32)


def music(samples: int, rng: np.random.Generator) -> Samples:
    """Return plucked chords, two a second."""
    time = np.arange(samples) / SAMPLE_RATE
    sound = np.zeros(samples, np.float32)
    for beat in range(0, samples, SAMPLE_RATE // 2):
        length = min(SAMPLE_RATE * 2, samples - beat)
        local = time[:length]
        for note in rng.choice([220, 247, 277, 294, 330, 370, 415, 440, 554, 659], 3):
            for harmonic in (1, 2, 3):
                tone = np.sin(2 * np.pi * note * harmonic * local) / harmonic
                sound[beat : beat + length] += tone * np.exp(-2 * local)
    return sound


def ringing(samples: int, rng: np.random.Generator) -> Samples:
    """Return a ringback tone: 440 and 480 Hz for two of every six seconds, over a quiet line."""
    time = np.arange(samples) / SAMPLE_RATE
    tone = (np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 480 * time)) * (time % 6 < 2)
    return (tone + 0.003 * rng.standard_normal(samples)).astype(np.float32)


def typing(samples: int, rng: np.random.Generator) -> Samples:
    """Return key strokes: bursts of a few ms, about five a second, with breaks."""
    sound = 0.002 * rng.standard_normal(samples).astype(np.float32)
    at = 0.0
    while (first := int(at * SAMPLE_RATE)) < samples - 800:
        decay = np.exp(-np.arange(800) / 80) * rng.uniform(0.3, 1)
        sound[first : first + 800] += (decay * rng.standard_normal(800)).astype(np.float32)
        at += float(rng.choice([0.12, 0.2, 0.25, 0.4, 2.5], p=[0.3, 0.3, 0.2, 0.17, 0.03]))
    return sound


def reverberate(signal: Samples, seconds: float, rng: np.random.Generator) -> Samples:
    """Return the signal in a room whose echo falls by 60 dB in `seconds`.

    The echo starts 6 dB below the direct sound, because the speaker is near.
    """
    tail = int(seconds * SAMPLE_RATE)
    echo = rng.standard_normal(tail) * 10 ** (-3 * np.arange(tail) / tail)
    echo *= 0.5 / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    size = len(signal) + tail
    wet = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(echo, size), size)
    return wet[: len(signal)].astype(np.float32)


def telephone(pcm: bytes) -> bytes:
    """Return the sound after a telephone line: 300 to 3,400 Hz, 8 bits of µ-law."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(frequency < 300) | (frequency > 3_400)] = 0
    line = np.fft.irfft(spectrum, len(samples)) / 32_768
    companded = np.round(np.sign(line) * np.log1p(255 * np.abs(line)) / np.log(256) * 127) / 127
    return to_pcm((np.sign(companded) * (256 ** np.abs(companded) - 1) / 255 * 32_768).astype(np.float32))


NOISES: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "white": white,
    "hum": hum,
    "babble": babble,
    "varying": varying,
    "stepped": stepped,
}
WORDLESS: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "music": music,
    "ringing": ringing,
    "typing": typing,
}
