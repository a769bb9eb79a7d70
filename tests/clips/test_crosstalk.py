"""A sound that several channels hold stays in one of them, and nothing else is lowered."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.speech_corpus import compose
from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.crosstalk import Crosstalk, Levels, Samples

SECONDS = 30
AGENT, CALLER = (
    np.frombuffer(compose((0.5, 1.1), None, SECONDS, seed).pcm, np.int16)[: SECONDS * SAMPLE_RATE].astype(np.float32)
    for seed in (1, 2)
)


def at(decibels: float, sound: Levels) -> Levels:
    return sound * np.float32(10 ** (decibels / 20))


def remove(*channels: Levels) -> tuple[Samples, Samples, Crosstalk]:
    """Return the samples before and after, and the object that did it."""
    before = np.stack(channels, 1).round().astype(np.int16)
    crosstalk = Crosstalk(len(channels))
    after = np.concatenate(list(crosstalk.remove(pieces(before.tobytes()))))
    assert after.shape == before.shape
    return before, after, crosstalk


def pieces(content: bytes) -> Iterator[bytes]:
    """Yield pieces of odd lengths."""
    for start in range(0, len(content), 99_999):
        yield content[start : start + 99_999]


def level(sound: Samples) -> float:
    """Return the level in dB."""
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 0.01))


def test_two_voices_stay_as_they_are() -> None:
    before, after, crosstalk = remove(AGENT, CALLER)
    assert np.array_equal(before, after)
    assert (crosstalk.heard, crosstalk.repeated) == ({0, 1}, False)


@pytest.mark.parametrize("decibels", [-15, -25, -35])
def test_a_faint_voice_of_its_own_stays_even_beside_a_loud_one(decibels: float) -> None:
    before, after, _ = remove(AGENT, at(decibels, CALLER))
    assert np.array_equal(before, after)


@pytest.mark.parametrize("delay", [0, 160, 640], ids=["at once", "10 ms later", "40 ms later"])
@pytest.mark.parametrize("decibels", [-21, -25, -40])
def test_the_other_sides_faint_sound_becomes_silence(decibels: float, delay: int) -> None:
    before, after, crosstalk = remove(AGENT, at(decibels, np.roll(AGENT, delay)))
    assert np.array_equal(before[:, 0], after[:, 0])
    assert level(after[:, 1]) < max(10, level(before[:, 1]) - 20)
    assert not crosstalk.repeated


def test_the_other_sides_faint_sound_is_lowered_to_the_background() -> None:
    noise = np.random.default_rng(1).normal(0, 15, len(AGENT)).astype(np.float32)
    before, after, _ = remove(AGENT, at(-25, AGENT) + noise)
    assert level(after[:, 1]) == pytest.approx(level(noise.astype(np.int16)), abs=2)
    assert level(after[:, 1]) < level(before[:, 1]) - 10


def test_crosstalk_under_a_voice_of_its_own_changes_nothing_of_that_voice() -> None:
    before, after, _ = remove(AGENT + at(-25, CALLER), CALLER + at(-25, AGENT))
    for channel, own in enumerate([AGENT, CALLER]):
        speaking = np.abs(own) > 1000
        assert np.array_equal(before[speaking, channel], after[speaking, channel])


@pytest.mark.parametrize("decibels", [0, -2, -12])
def test_of_channels_with_the_same_sound_one_stays(decibels: float) -> None:
    before, after, crosstalk = remove(AGENT, at(decibels, AGENT), -AGENT)
    assert np.array_equal(before[:, 0], after[:, 0])
    assert level(after[:, 1:]) < 10
    assert (crosstalk.heard, crosstalk.repeated) == ({0}, True)


def test_the_louder_of_two_channels_with_the_same_sound_stays() -> None:
    _, _, crosstalk = remove(at(-12, AGENT), AGENT)
    assert crosstalk.heard == {1}


def test_silence_and_an_end_within_a_window_do_no_harm() -> None:
    assert not remove(*[np.zeros(16_123, np.float32)] * 8)[2].heard
    assert not list(Crosstalk(2).remove([]))
