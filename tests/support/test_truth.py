"""Tests of the known words and word times that other tests rely on."""

import io
from typing import Literal

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from tests.support.speech_corpus import SAMPLE_RATE, compose, phrases
from tests.support.truth import Recognizer

RECORDING = compose((0.3, 1.0, 2.0), ("white", 25), 60, seed=30)


def test_words_cut_by_the_clips_edges_are_broken_and_the_others_are_whole() -> None:
    (_, start, end), *_, (_, last_start, last_end) = RECORDING.words[10:16]
    first, last = round((start + end) / 2 * SAMPLE_RATE), round((last_start + last_end) / 2 * SAMPLE_RATE)
    words = Recognizer([RECORDING]).words(RECORDING.pcm[first * 2 : last * 2])
    assert [word.text.startswith("~") for word in words] == [True, False, False, False, False, True]
    assert words[1].start == pytest.approx(RECORDING.words[11][1] - first / SAMPLE_RATE)


@pytest.mark.parametrize(("codec", "container"), [("libmp3lame", "mp3"), ("aac", "adts"), ("libopus", "ogg")])
def test_a_clip_is_found_after_lossy_coding(codec: Literal["libmp3lame", "aac", "libopus"], container: str) -> None:
    clip = RECORDING.pcm[30 * SAMPLE_RATE : 50 * SAMPLE_RATE]
    expected = Recognizer([RECORDING]).words(clip)
    found = Recognizer([RECORDING]).words(_coded(clip, codec, container))
    assert [word.text.strip("~") for word in found][1:-1] == [word.text.strip("~") for word in expected][1:-1]
    shift = found[1].start - expected[1].start
    assert 0 <= shift < 0.15, "a codec's padding"
    assert found[-2].start - expected[-2].start == pytest.approx(shift)


def test_other_sound_has_no_words() -> None:
    other = compose((0.3, 1.0), ("white", 25), 5, seed=31, voices=("awb",))
    assert Recognizer([compose((0.5,), None, 30, seed=32, voices=("slt",))]).words(other.pcm) == []


def test_phrases_are_silent_before_their_first_word_and_after_their_last() -> None:
    """Wrong word times would leave sound outside of them."""
    for phrase in phrases():
        start, end = (round(time * SAMPLE_RATE) for time in (phrase.words[0][1], phrase.words[-1][2]))
        loud = np.sqrt(np.mean(phrase.samples[start:end] ** 2))
        assert np.sqrt(np.mean(phrase.samples[: max(1, start - 80)] ** 2)) < loud / 10, phrase.text
        assert np.sqrt(np.mean(phrase.samples[end:] ** 2)) < loud / 4, phrase.text


def _coded(pcm: bytes, codec: Literal["libmp3lame", "aac", "libopus"], container: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2")[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    file.seek(0)
    resampler = av.AudioResampler("s16", "mono", SAMPLE_RATE)
    with av.open(file, "r") as media:
        frames = [out for frame in media.decode(audio=0) for out in resampler.resample(frame)]
    return b"".join(frame.to_ndarray().tobytes() for frame in [*frames, *resampler.resample(None)])
