"""A recogniser that knows the words: it finds where a clip lies in a known recording and tells the words in it.

Injected where the local Speech endpoint recognises, it makes lost, cut and doubled words visible: a word of which the
clip lacks a part comes back broken, as a real recogniser would garble it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from local.speech import Word
from tests.support.speech_corpus import SAMPLE_RATE, Recording

EDGE_SECONDS = 0.03
"""A word may lack this much at the clip's edge: a recogniser does not notice, and true word ends are no better
known."""

BROKEN = "~"
"""Marks a word of which the clip lacks a part."""


MIN_LIKENESS = 0.3
"""Normalised correlation that counts as found. Coded copies have 0.9 and more, other speech below 0.1."""
COARSE = 8
"""Looked for at an eighth of the rate first: ten minutes of speech take 60 ms then, and not a second."""


class Recognizer:
    """Finds clips in `recordings`; a clip that is in none of them has no words."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = tuple(recordings)

    def words(self, pcm: bytes, language: str = "en-US") -> list[Word]:
        """The words of one clip of 16 kHz mono s16le, with times from its start."""
        seconds = len(pcm) / 2 / SAMPLE_RATE
        for recording in self._recordings:
            position = _find_bytes(recording.pcm, pcm)
            if position is not None:
                return list(_words_within(recording, position / SAMPLE_RATE, seconds))
        found = [(*_correlate(_samples(recording.pcm), _samples(pcm)), recording) for recording in self._recordings]
        best = max(found, key=lambda match: match[0], default=None)
        if best is None or best[0] < MIN_LIKENESS:
            return []
        return list(_words_within(best[2], best[1] / SAMPLE_RATE, seconds))


def _samples(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32)


def _find_bytes(recording: bytes, clip: bytes) -> int | None:
    """The sample at which `clip` begins. Searched by what is around its loudest sample: silence is found everywhere."""
    if len(clip) < 2:
        return None
    shift = max(0, int(np.argmax(np.abs(_samples(clip)))) - 1_000) * 2
    probe = clip[shift : shift + 4_000]
    at = recording.find(probe)
    while at >= 0:
        start = at - shift
        if start >= 0 and start % 2 == 0 and recording[start : start + len(clip)] == clip:
            return start // 2
        at = recording.find(probe, at + 1)
    return None


def _correlate(recording: npt.NDArray[np.float32], clip: npt.NDArray[np.float32]) -> tuple[float, int]:
    """Best normalised cross-correlation and its lag; the clip may stick out at either end by a codec's padding."""
    if len(clip) < SAMPLE_RATE // 50 or not clip.any():
        return 0.0, 0
    whole, part = _thin_out(recording), _thin_out(clip)
    size = 1 << (len(whole) + len(part)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    coarse = int(np.argmax(correlation))
    if coarse > len(whole):
        coarse -= size
    around = range((coarse - 2) * COARSE, (coarse + 2) * COARSE + 1)
    return max((_likeness(recording, clip, lag), lag) for lag in around)


def _thin_out(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(samples[: len(samples) // COARSE * COARSE].reshape(-1, COARSE).mean(axis=1))


def _likeness(recording: npt.NDArray[np.float32], clip: npt.NDArray[np.float32], lag: int) -> float:
    first, last = max(0, lag), min(len(recording), lag + len(clip))
    one, other = recording[first:last], clip[first - lag : last - lag]
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(clip) + 1e-9))


def _words_within(recording: Recording, start: float, seconds: float) -> list[Word]:
    found = []
    for text, word_start, word_end in recording.words:
        first, last = word_start - start, word_end - start
        if last <= EDGE_SECONDS or first >= seconds - EDGE_SECONDS:
            continue
        whole = first >= -EDGE_SECONDS and last <= seconds + EDGE_SECONDS
        clipped_first, clipped_last = max(0.0, first), min(seconds, last)
        found.append(Word(text if whole else BROKEN + text, clipped_first, clipped_last - clipped_first))
    return found
