"""The recording's clock: pauses in the timestamps become silence, as long as they can be believed."""

from fractions import Fraction

import pytest
from av import AudioFrame

from tests.support.media_files import encode, tone
from tests.support.recordings import decode, level
from transcription.audio.pcm import SAMPLE_RATE
from transcription.audio.timeline import MAX_PAUSE, Timeline


def frame_at(seconds: float | None) -> AudioFrame:
    frame = AudioFrame("s16", "mono", 160)
    frame.sample_rate = SAMPLE_RATE
    frame.time_base = Fraction(1, SAMPLE_RATE)
    frame.pts = None if seconds is None else round(seconds * SAMPLE_RATE)
    return frame


def pause(timeline: Timeline, seconds: float | None, *, after_damage: bool = False) -> float:
    return timeline.pause_before(frame_at(seconds), after_damage=after_damage)


def test_a_frame_without_a_timestamp_follows_the_one_before() -> None:
    assert pause(Timeline(0.0, None), None) == 0.0


def test_the_first_frame_sets_the_start_if_the_container_does_not() -> None:
    assert pause(Timeline(None, None), 100.0) == 0.0
    assert pause(Timeline(99.0, None), 100.0) == pytest.approx(1.0)


def test_a_small_pause_is_rounding_unless_something_was_lost_there() -> None:
    assert pause(Timeline(0.0, None), 0.02) == 0.0
    assert pause(Timeline(0.0, None), 0.02, after_damage=True) == pytest.approx(0.02)


def test_a_clock_that_is_reset_is_followed_from_there() -> None:
    timeline = Timeline(0.0, None)
    timeline.advance(10.0)
    assert pause(timeline, 0.0) == 0.0
    assert pause(timeline, 2.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("seconds", "believed"), [(MAX_PAUSE, True), (MAX_PAUSE + 1, False)])
def test_a_pause_of_more_than_an_hour_is_not_believed(seconds: float, believed: bool) -> None:
    assert bool(pause(Timeline(0.0, None), seconds)) is believed


@pytest.mark.parametrize(("seconds", "believed"), [(5.5, True), (6.5, False)])
def test_a_timestamp_past_the_declared_end_is_not_believed(seconds: float, believed: bool) -> None:
    assert bool(pause(Timeline(0.0, 5.0), seconds)) is believed


def test_silence_fills_a_pause_up_to_its_end() -> None:
    timeline = Timeline(0.0, None)
    timeline.advance(1.0)
    timeline.emitted = SAMPLE_RATE - 10  # the resampler swallowed some samples
    assert timeline.samples_until(0.5) == SAMPLE_RATE // 2 + 10
    assert timeline.samples_until(0.0) == 0


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("matroska", "aac"), ("mp4", "aac")])
def test_a_jump_of_the_timestamps_is_silence(container: str, codec: str) -> None:
    content = encode(tone(2), container, codec, rate=48000, pauses={1.0: 1.5})
    _, samples = decode(content)
    assert len(samples) / SAMPLE_RATE == pytest.approx(3.5, abs=0.06)
    levels = [level(samples[int(at * SAMPLE_RATE) : int((at + 0.1) * SAMPLE_RATE)]) for at in (0.5, 1.2, 2.3, 2.8)]
    assert [loud > 1000 for loud in levels] == [True, False, False, True]


def test_a_jump_of_years_is_not_believed() -> None:
    _, samples = decode(encode(tone(2), "matroska", "flac", rate=48000, pauses={1.0: 1e8}))
    assert len(samples) / SAMPLE_RATE == pytest.approx(2, abs=0.06)


def test_sound_that_starts_late_in_a_video_is_late() -> None:
    content = encode(tone(1), "mp4", "aac", rate=48000, pauses={0.0: 1.0}, video="mpeg4")
    _, samples = decode(content)
    assert len(samples) / SAMPLE_RATE == pytest.approx(2, abs=0.06)
    assert level(samples[: SAMPLE_RATE // 2]) < 10
