"""A recogniser that knows the words: it finds the clip's position in a known recording and returns the words there.

Tests inject it into the local Speech endpoint to see lost, cut and doubled words. If the clip lacks a part of a word,
the word comes back marked as broken, because a real recogniser would garble it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from local.speech import Word
from tests.support.speech_corpus import SAMPLE_RATE, Recording

EDGE_SECONDS = 0.03  # of a word that may be missing at the clip's edge; word times are no more exact than this
BROKEN = "~"  # marks a word that the clip has only a part of
LEAST_CORRELATION = 0.3  # normalised; coded copies have 0.9 and more, other speech less than 0.1
DECIMATION = 8  # of the first search; ten minutes of speech then take 60 ms instead of a second


class Recognizer:
    """Finds clips in `recordings`. A clip from none of them has no words."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = tuple(recordings)

    def words(self, pcm: bytes, language: str = "en-US") -> list[Word]:
        """Return the words of one clip of 16 kHz mono s16le, with times from its start."""
        seconds = len(pcm) / 2 / SAMPLE_RATE
        for recording in self._recordings:
            position = _find_bytes(recording.pcm, pcm)
            if position is not None:
                return list(_words_within(recording, position / SAMPLE_RATE, seconds))
        matches = [(*_correlate(_samples(recording.pcm), _samples(pcm)), recording) for recording in self._recordings]
        best = max(matches, key=lambda match: match[0], default=None)
        if best is None or best[0] < LEAST_CORRELATION:
            return []
        _, lag, recording = best
        return list(_words_within(recording, lag / SAMPLE_RATE, seconds))


def _samples(pcm: bytes) -> npt.NDArray[np.float32]:
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32)


def _find_bytes(recording: bytes, clip: bytes) -> int | None:
    """Return the sample at which `clip` begins, if the recording holds exactly its bytes.

    Searches for the bytes around the loudest sample, because silence matches everywhere.
    """
    if len(clip) < 2:
        return None
    offset = max(0, int(np.argmax(np.abs(_samples(clip)))) - 1_000) * 2
    probe = clip[offset : offset + 4_000]
    at = recording.find(probe)
    while at >= 0:
        start = at - offset
        if start >= 0 and start % 2 == 0 and recording[start : start + len(clip)] == clip:
            return start // 2
        at = recording.find(probe, at + 1)
    return None


def _correlate(recording: npt.NDArray[np.float32], clip: npt.NDArray[np.float32]) -> tuple[float, int]:
    """Return the best normalised cross-correlation and its lag in samples.

    The clip may stick out at either end, because codecs add padding.
    """
    if len(clip) < SAMPLE_RATE // 50 or not clip.any():
        return 0.0, 0
    thin_recording, thin_clip = _decimate(recording), _decimate(clip)
    size = 1 << (len(thin_recording) + len(thin_clip)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(thin_recording, size) * np.conj(np.fft.rfft(thin_clip, size)), size)
    coarse = int(np.argmax(correlation))
    if coarse > len(thin_recording):
        coarse -= size
    lags = range((coarse - 2) * DECIMATION, (coarse + 2) * DECIMATION + 1)
    return max((_correlation_at(recording, clip, lag), lag) for lag in lags)


def _decimate(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(samples[: len(samples) // DECIMATION * DECIMATION].reshape(-1, DECIMATION).mean(axis=1))


def _correlation_at(recording: npt.NDArray[np.float32], clip: npt.NDArray[np.float32], lag: int) -> float:
    first, last = max(0, lag), min(len(recording), lag + len(clip))
    part, overlap = recording[first:last], clip[first - lag : last - lag]
    return float(part @ overlap / (np.linalg.norm(part) * np.linalg.norm(clip) + 1e-9))


def _words_within(recording: Recording, start: float, seconds: float) -> list[Word]:
    words = []
    for text, word_start, word_end in recording.words:
        first, last = word_start - start, word_end - start
        if last <= EDGE_SECONDS or first >= seconds - EDGE_SECONDS:
            continue
        whole = first >= -EDGE_SECONDS and last <= seconds + EDGE_SECONDS
        clipped_first, clipped_last = max(0.0, first), min(seconds, last)
        words.append(Word(text if whole else BROKEN + text, clipped_first, clipped_last - clipped_first))
    return words
