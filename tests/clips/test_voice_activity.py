"""Voice activity detection: what counts as sound, what counts as noise, and that all samples come through."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.speech_corpus import compose, hum, to_pcm, varying, white
from tests.support.transcribing import blocks
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE
from transcription.clips.voice_activity import (
    FRAME_SAMPLES,
    FRAMES_PER_SECOND,
    VAD_DEFAULTS,
    Flags,
    VadOptions,
    detect_activity,
    spans,
    to_frames,
)


def active_frames(pcm: bytes, options: VadOptions = VAD_DEFAULTS) -> Flags:
    return np.concatenate([activity.active for activity in detect_activity(blocks(pcm), options)])


def tone(seconds: float, level: float = 3000.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * 500 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE))


def found_seconds(*parts: np.ndarray, options: VadOptions = VAD_DEFAULTS) -> list[tuple[float, float]]:
    """Return the stretches of sound in these parts, played one after the other."""
    active = active_frames(to_pcm(np.concatenate(parts)), options)
    return [(first / FRAMES_PER_SECOND, last / FRAMES_PER_SECOND) for first, last in spans(active)]


def test_spans_are_the_stretches_of_set_flags() -> None:
    assert spans(np.array([True, True, False, True, False])) == [(0, 2), (3, 4)]
    assert spans(np.array([False, False])) == []
    assert spans(np.zeros(0, np.bool_)) == []


@pytest.mark.parametrize("size", [1, 999, 65_536, 10**7])
def test_all_samples_come_through_in_order_whatever_the_size_of_the_blocks(size: int) -> None:
    length = BYTES_PER_SECOND // 4 if size == 1 else 25 * BYTES_PER_SECOND
    pcm = compose((0.3, 1.0), ("white", 20), 25, seed=1).pcm[:length]
    assert b"".join(activity.pcm.tobytes() for activity in detect_activity(blocks(pcm, size))) == pcm


def test_half_a_sample_at_the_end_is_dropped() -> None:
    (activity,) = detect_activity([bytes(BYTES_PER_SECOND + 1)])
    assert len(activity.pcm) == SAMPLE_RATE


def test_each_frame_has_a_level_and_the_last_one_need_not_be_full() -> None:
    (activity,) = detect_activity([to_pcm(tone(1.0)[: -FRAME_SAMPLES // 2])])
    assert len(activity.active) == len(activity.level) == FRAMES_PER_SECOND


def test_decisions_do_not_depend_on_where_the_bytes_were_divided() -> None:
    pcm = compose((0.3, 0.8, 2.0), ("varying", 20), 35, seed=2).pcm
    whole = np.concatenate([activity.active for activity in detect_activity([pcm])])
    assert (active_frames(pcm) == whole).all()


def test_words_are_active_and_long_pauses_are_not() -> None:
    recording = compose((2.0,), ("white", 25), 30, seed=3)
    active = active_frames(recording.pcm)
    for _, start, end in recording.words:
        assert active[to_frames(start) + 1 : to_frames(end) - 1].mean() > 0.75  # word ends fade
    for (_, before), (after, _) in pairwise(recording.runs(1.0)):
        assert not active[to_frames(before + 0.5) : to_frames(after - 0.5)].any()


@pytest.mark.parametrize("noise", [white, hum, varying])
def test_noise_that_goes_on_is_not_active(noise: Callable[[int, np.random.Generator], np.ndarray]) -> None:
    samples = noise(30 * SAMPLE_RATE, np.random.default_rng(4))
    assert not active_frames(to_pcm(500 * samples)).any()


def test_sound_that_lasts_for_seconds_without_falling_is_noise() -> None:
    options = replace(VAD_DEFAULTS, plateau_seconds=8.0)
    assert found_seconds(silence(5), tone(5), silence(5)) == []
    assert len(found_seconds(silence(5), tone(5), silence(5), options=options)) == 1


def test_a_short_break_within_a_sound_is_bridged() -> None:
    assert len(found_seconds(silence(5), tone(0.5), silence(0.06), tone(0.5), silence(5))) == 1
    assert len(found_seconds(silence(5), tone(0.5), silence(0.3), tone(0.5), silence(5))) == 2


def test_sound_far_weaker_than_loud_speech_is_not_active() -> None:
    weak = tone(0.5, level=20.0)
    loud = [part for _ in range(8) for part in (tone(0.5, level=20_000.0), silence(0.5))]
    assert len(found_seconds(silence(2), weak, silence(2))) == 1
    assert len(found_seconds(*loud, silence(2), weak, silence(2))) == 8


def test_weak_sound_gets_a_margin_because_noise_hides_its_edges() -> None:
    noise = white(10 * SAMPLE_RATE, np.random.default_rng(5)) * 300
    quiet = noise.copy()
    quiet[5 * SAMPLE_RATE : 6 * SAMPLE_RATE] += tone(1.0, level=2000.0)
    ((start, end),) = found_seconds(quiet)
    margin = VAD_DEFAULTS.hidden_seconds
    assert start == pytest.approx(5 - margin, abs=0.05)
    assert end == pytest.approx(6 + margin, abs=0.05)
