"""Clips end in pauses, and no word is lost, cut or doubled, whatever the pauses, the noise and the length."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.support.speech_corpus import (
    Recording,
    breath,
    compose,
    continuous,
    cough,
    phrases,
    telephone,
    to_pcm,
    with_sounds,
    without_words,
)
from tests.support.transcribing import blocks, sent_seconds, transcribe
from tests.support.words import spoken
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE
from transcription.clips.clip import Clip
from transcription.clips.cutting import CUTTING_DEFAULTS, CuttingOptions, cut

PAUSES = (0.15, 0.3, 0.5, 0.7, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
LONG_PAUSES = (0.15, 0.3, 0.5, 2.0, 3.0, 4.0)
NOISES = [(kind, level) for kind in ("white", "hum", "babble", "varying", "stepped") for level in (30.0, 20.0, 10.0)]


def texts(recording: Recording) -> list[str]:
    return [word for text, _, _ in recording.words for word in spoken(text)]


def seconds(clips: list[Clip]) -> float:
    return sum(clip.seconds for clip in clips)


def fewest_clips(recording: Recording) -> int:
    """Return the number of clips that pauses of 0.8 s and the limit of 60 s require."""
    return sum(int(-(-(end - start) // 60)) for start, end in recording.runs(0.8))


@pytest.mark.parametrize("pause", PAUSES)
def test_no_word_is_lost_cut_or_doubled_whatever_the_pauses(pause: float) -> None:
    recording = compose((pause,), ("white", 20), 60, seed=round(pause * 100))
    assert transcribe(recording).words == texts(recording)


@pytest.mark.parametrize(("kind", "level"), NOISES)
@pytest.mark.parametrize("service_pause", [0.5, 1.0, 2.0])
def test_no_word_is_lost_cut_or_doubled_whatever_the_noise(kind: str, level: float, service_pause: float) -> None:
    recording = compose(PAUSES, (kind, level), 60, seed=3)
    assert transcribe(recording, service_pause).words == texts(recording)


@pytest.mark.parametrize("noise", [None, ("white", 20), ("hum", 20), ("babble", 20), ("varying", 20)])
def test_a_shorter_pause_suits_a_service_that_stops_at_half_a_second(noise: tuple[str, float] | None) -> None:
    """No word is lost either way. With a pause that fits, little is sent twice."""
    recording = compose(PAUSES, noise, 180, seed=8)
    speech = sum(end - start for start, end in recording.runs(1.001))
    assert transcribe(recording, 0.5).words == texts(recording)
    fitting = transcribe(recording, 0.5, SPEECH_PAUSE_SECONDS="0.45")
    assert fitting.words == texts(recording)
    assert sum(sent_seconds(fitting.received)) <= 1.15 * speech


@pytest.mark.parametrize("length", [5, 10, 20, 59, 61, 125])
@pytest.mark.parametrize("pauses", [(0.15, 0.3), PAUSES])
def test_no_word_is_lost_cut_or_doubled_whatever_the_length(length: int, pauses: tuple[float, ...]) -> None:
    recording = compose(pauses, ("hum", 20), length, seed=length)
    assert transcribe(recording).words == texts(recording)


@pytest.mark.parametrize("noise", [None, ("white", 20), ("babble", 20)])
def test_ten_minutes_come_back_word_for_word(noise: tuple[str, float] | None) -> None:
    recording = compose(PAUSES, noise, 600, seed=8)
    assert transcribe(recording).words == texts(recording)


@pytest.mark.parametrize("noise", [None, ("white", 10), ("hum", 10), ("babble", 10), ("varying", 20)])
@pytest.mark.parametrize("word_times", [True, False])
def test_three_minutes_without_a_pause_come_back_word_for_word(
    noise: tuple[str, float] | None, word_times: bool
) -> None:
    recording = continuous(180, noise, seed=5)
    outcome = transcribe(recording, word_times=word_times)
    assert outcome.words == texts(recording)
    assert outcome.requests <= 1.5 * 4


POOR: list[dict[str, float]] = [
    {"speaker_step_db": 20.0},
    {"gain_db": 20.0},
    {"offset": 3000.0},
    {"reverberation_seconds": 0.6},
    {"lead_seconds": 0.03},
    {"lead_seconds": 12.0},
]


@pytest.mark.parametrize(
    ("changes", "by_telephone"),
    [(changes, line) for changes in POOR for line in (False, True)] + [({"gain_db": -40.0}, False)],
    ids=str,
)
@pytest.mark.parametrize("noise", [None, ("white", 30.0)])
def test_no_word_of_a_poor_recording_is_lost(
    changes: dict[str, float], noise: tuple[str, float] | None, by_telephone: bool
) -> None:
    """Two speakers 20 dB apart, very quiet, clipped, DC offset, an echoing room, speech at once, a long wait; 8 kHz."""
    recording = compose(PAUSES, noise, 60, 4, **changes)  # type: ignore[arg-type]  # all are keywords that take a float
    if by_telephone:
        recording = replace(recording, pcm=telephone(recording.pcm))
    assert transcribe(recording).words == texts(recording)


@pytest.mark.parametrize("sound", [breath(), cough()], ids=["breath", "cough"])
@pytest.mark.parametrize("service_pause", [0.5, 1.0, 2.0])
def test_no_word_is_lost_next_to_breath_and_coughs_in_the_pauses(sound: np.ndarray, service_pause: float) -> None:
    recording = with_sounds(compose(PAUSES, ("white", 45), 60, seed=6), sound, every_pause_over=0.5)
    assert transcribe(recording, service_pause).words == texts(recording)


def test_a_recording_that_is_one_word_from_end_to_end_is_sent_whole() -> None:
    words = [phrase for phrase in phrases() if len(phrase.words) == 1]
    for phrase in words:
        first, last = (round(time * SAMPLE_RATE) for time in phrase.words[0][1:])
        pcm = to_pcm(phrase.samples[first:last])
        assert [(clip.start, clip.pcm) for clip in cut([pcm])] == [(0, pcm)], phrase.text


def test_a_short_recording_of_even_sound_is_sent_whole_and_has_to_be_covered() -> None:
    samples = SAMPLE_RATE * 3 // 2
    (clip,) = cut([to_pcm(np.random.default_rng(1).normal(0, 100, samples).astype(np.float32))])
    assert (len(clip.pcm), clip.speech) == (samples * SAMPLE_BYTES, ((0, samples),))


@pytest.mark.parametrize("noise", [None, ("white", 20), ("babble", 20), ("varying", 10)])
def test_clips_are_in_order_under_the_limit_and_share_only_their_declared_overlap(
    noise: tuple[str, float] | None,
) -> None:
    recording = compose((0.15, 0.3, 0.5, 1.5), noise, 240, seed=9)
    clips = list(cut(blocks(recording.pcm)))
    assert all(len(clip.pcm) <= CUTTING_DEFAULTS.max_clip_seconds * BYTES_PER_SECOND for clip in clips)
    assert all(recording.pcm[clip.start * SAMPLE_BYTES :].startswith(clip.pcm) for clip in clips)
    for before, after in pairwise(clips):
        assert max(0, before.end - after.start) == after.overlap
    for clip in clips:
        assert all(clip.start <= start < end <= clip.end for start, end in clip.speech)


def test_the_options_set_the_longest_clip() -> None:
    options = CuttingOptions(max_clip_seconds=20.0)
    clips = list(cut(blocks(continuous(60, seed=16).pcm), options))
    assert max(clip.seconds for clip in clips) <= 20.0
    assert len(clips) >= 3


@pytest.mark.parametrize("noise", [None, ("white", 20), ("hum", 10), ("varying", 20)])
def test_no_clip_holds_a_long_pause(noise: tuple[str, float] | None) -> None:
    """The limit is 0.8 s, measured to a tenth of a second. The service is reported to stop at 1 s."""
    recording = compose(PAUSES, noise, 180, seed=10)
    for clip in cut(blocks(recording.pcm)):
        inside = [w for w in recording.words if clip.start <= w[1] * SAMPLE_RATE and w[2] * SAMPLE_RATE <= clip.end]
        assert all(start - end < 0.95 for (_, _, end), (_, start, _) in pairwise(inside))


@pytest.mark.parametrize("noise", [None, ("white", 20), ("hum", 20), ("babble", 20), ("varying", 20)])
def test_there_are_no_more_clips_than_the_pauses_require(noise: tuple[str, float] | None) -> None:
    for pauses in (PAUSES, (0.15, 0.3, 0.5), LONG_PAUSES):
        recording = compose(pauses, noise, 180, seed=11)
        assert len(list(cut(blocks(recording.pcm)))) <= 1.5 * fewest_clips(recording)


@pytest.mark.parametrize("noise", [None, ("white", 20), ("hum", 20), ("varying", 20)])
def test_long_silence_is_not_sent(noise: tuple[str, float] | None) -> None:
    recording = compose(LONG_PAUSES, noise, 300, seed=12)
    speech = sum(end - start for start, end in recording.runs(1.001))
    assert seconds(list(cut(blocks(recording.pcm)))) <= 1.15 * speech


@pytest.mark.parametrize("kind", ["white", "hum", "varying", "stepped"])
def test_noise_alone_is_not_sent(kind: str) -> None:
    assert list(cut(blocks(without_words(kind, 60).pcm))) == []


@pytest.mark.parametrize("kind", ["music", "ringing", "typing", "babble"])
def test_sound_without_words_is_sent_once(kind: str) -> None:
    clips = list(cut(blocks(without_words(kind, 300).pcm)))
    assert seconds(clips) <= 1.2 * 300


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(2), bytes(BYTES_PER_SECOND), bytes(BYTES_PER_SECOND * 70)], ids=len)
def test_digital_silence_gives_no_clip(pcm: bytes) -> None:
    assert list(cut([pcm])) == []


def test_a_click_in_silence_gives_no_clip() -> None:
    signal = np.zeros(20 * SAMPLE_RATE, np.float32)
    signal[10 * SAMPLE_RATE : 10 * SAMPLE_RATE + 80] = 8_000
    assert list(cut([to_pcm(signal)])) == []


@pytest.mark.parametrize("size", [999, 4_096, 1_000_000, 10**8])
def test_clips_do_not_depend_on_the_size_of_the_blocks(size: int) -> None:
    pcm = compose(PAUSES, ("white", 20), 75, seed=13).pcm
    assert list(cut(blocks(pcm, size))) == list(cut(blocks(pcm)))


def test_a_clip_is_yielded_before_the_recording_ends() -> None:
    recording = compose(PAUSES, ("white", 20), 120, seed=14)
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for block in blocks(recording.pcm):
            taken += len(block)
            yield block

    first = next(cut(counted()))
    assert taken / SAMPLE_BYTES <= first.end + 31 * SAMPLE_RATE


def test_memory_does_not_grow_with_the_length() -> None:
    minute = continuous(60, seed=15).pcm

    def peak(minutes: int) -> int:
        tracemalloc.start()
        for _ in cut(block for _ in range(minutes) for block in blocks(minute)):
            pass
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(20) <= peak(3) + 1_000_000
    assert peak(3) <= 16_000_000
