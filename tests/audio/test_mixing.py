"""The mixture of any number and kind of channels to one."""

import numpy as np
import pytest

from tests.support.media_files import encode, tone
from tests.support.recordings import SPEECH, decode, level, similarity
from tests.support.sound import wav
from transcription.audio.mixing import silence
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return decode(encode([left, right], "flac", "flac"))[1]


def test_two_channels_are_averaged() -> None:
    samples = stereo(tone(2, 300), tone(2, 500))
    assert np.allclose(samples, (tone(2, 300) + tone(2, 500)) / 2, atol=2)


def test_channels_that_cancel_leave_the_louder_one() -> None:
    assert np.allclose(stereo(SPEECH, -SPEECH), SPEECH, atol=2)
    assert np.allclose(stereo(0.5 * SPEECH, -SPEECH), -SPEECH, atol=2)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_does_not_lower_the_level(dead: int) -> None:
    noise = np.random.default_rng(1).normal(0, 1, len(SPEECH)).round()  # of a converter with nothing connected
    channels = [SPEECH, SPEECH]
    channels[dead] = noise
    assert level(stereo(*channels)) == pytest.approx(level(SPEECH), rel=0.01)


def test_a_speaker_who_moves_to_the_other_channel_is_heard_at_once() -> None:
    silent = np.zeros(len(SPEECH))
    samples = stereo(np.concatenate([SPEECH, silent]), np.concatenate([silent, SPEECH]))
    assert similarity(samples[: len(SPEECH)]) > 0.9
    assert similarity(samples[len(SPEECH) :]) > 0.9
    assert level(samples[len(SPEECH) :]) > 0.5 * level(SPEECH)


def test_a_change_of_the_mixture_does_not_click() -> None:
    low = tone(3, 100)
    samples = stereo(low, np.concatenate([-low[:SAMPLE_RATE], low[SAMPLE_RATE:]]))
    assert np.abs(np.diff(samples)).max() < 1.6 * np.abs(np.diff(low)).max()


def test_the_centre_of_surround_sound_keeps_its_level() -> None:
    silent = np.zeros(len(SPEECH))
    _, samples = decode(encode([silent, silent, SPEECH, silent, silent, silent], "flac", "flac"))
    assert level(samples) == pytest.approx(level(SPEECH), rel=0.02)


@pytest.mark.parametrize("channels", [3, 4, 8, 16])
def test_channels_without_names_have_equal_weights(channels: int) -> None:
    sound = np.zeros((channels, SAMPLE_RATE))
    sound[-1] = tone(1)
    content = wav(sound.T.astype(np.int16).tobytes(), channels=channels)
    assert level(decode(content)[1]) == pytest.approx(level(tone(1)), rel=0.02)


def test_silence_comes_in_blocks_of_up_to_a_second() -> None:
    blocks = list(silence(2 * SAMPLE_RATE + 10))
    assert [len(block) for block in blocks] == [BYTES_PER_SECOND, BYTES_PER_SECOND, 10 * SAMPLE_BYTES]
    assert not any(b"".join(blocks))
    assert list(silence(0)) == []
