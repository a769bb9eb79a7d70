"""Gaps, jumps and damage: what can be heard is heard, at its time on the recording's own clock."""

import contextlib
import random
import time

import numpy as np
import pytest

from tests.support.media_files import MEDIA, RATE, encoded, hum, mp4
from tests.support.recordings import FILES, FORMATS, SPEECH, level, likeness, made, recorded, refused
from transcription.errors import UnsupportedAudio


@pytest.mark.parametrize(("container", "codec"), [("webm", "libopus"), ("matroska", "aac"), ("mp4", "aac")])
def test_a_jump_of_the_timestamps_is_silence(container: str, codec: str) -> None:
    content = encoded(hum(2), container, codec, rate=48000, pauses={1.0: 1.5})
    _, samples = recorded(content)
    assert len(samples) / RATE == pytest.approx(3.5, abs=0.06)
    seconds = [level(samples[int(at * RATE) : int((at + 0.1) * RATE)]) for at in (0.5, 1.2, 2.3, 2.8)]
    assert [loud > 1000 for loud in seconds] == [True, False, False, True]


def test_a_jump_of_years_is_not_believed() -> None:
    _, samples = recorded(encoded(hum(2), "matroska", "flac", rate=48000, pauses={1.0: 1e8}))
    assert len(samples) / RATE == pytest.approx(2, abs=0.06)


def test_sound_that_starts_late_in_a_video_is_late() -> None:
    content = encoded(hum(1), "mp4", "aac", rate=48000, pauses={0.0: 1.0}, video="mpeg4")
    _, samples = recorded(content)
    assert len(samples) / RATE == pytest.approx(2, abs=0.06)
    assert level(samples[: RATE // 2]) < 10


def test_what_encoders_put_in_front_is_skipped() -> None:
    sound = np.concatenate([np.zeros(8000), hum(0.5)])
    for name in ("m4a", "mp3", "webm with opus", "ogg with opus"):
        _, samples = recorded(made(name, sound))
        assert abs(int(np.argmax(np.abs(samples) > 2000)) - 8000) < 80, name


def test_another_rate_and_other_channels_in_the_middle_are_followed() -> None:
    first = encoded(hum(1), "adts", "aac", rate=44100)
    second = encoded([hum(1), hum(1)], "adts", "aac", rate=22050)
    _, samples = recorded(first + second)
    assert len(samples) / RATE == pytest.approx(2, abs=0.2)
    assert level(samples[-RATE // 2 :]) == pytest.approx(level(hum(1)), rel=0.15)


def test_a_damaged_stretch_in_the_middle_is_silent_and_what_follows_keeps_its_time() -> None:
    sound = np.concatenate([SPEECH, SPEECH, SPEECH])
    content = bytearray(made("m4a", sound))
    middle = len(content) // 2
    content[middle : middle + 3000] = random.Random(1).randbytes(3000)
    recording, samples = recorded(bytes(content))
    assert abs(len(samples) - len(sound)) < 0.06 * RATE
    assert likeness(samples[2 * len(SPEECH) :]) > 0.97
    assert "could not be decoded" in str(recording.damage)
    ((start, lasted),) = recording.gaps
    assert abs(start - 1.5 * len(SPEECH) / RATE) < 1.5
    assert 0 < lasted < 1.5


@pytest.mark.parametrize(
    "name", ["mp4 in fragments", "mp3", "webm with opus", "flac", "wav 24 bit", "aiff", "wma"]
)  # ogg, aac, amr and mpeg-ts do not say how long they are
def test_a_file_that_was_cut_gives_what_is_there_and_says_so(name: str) -> None:
    sound = np.concatenate([SPEECH] * 4)
    content = made(name, sound)
    recording, samples = recorded(content[: len(content) * 6 // 10])
    assert 5.5 < len(samples) / RATE < 8
    assert likeness(samples[: len(SPEECH)]) > 0.97
    assert "the file ends at" in str(recording.damage) or "damaged from" in str(recording.damage)


def test_a_damaged_tail_gives_the_words_before_it_and_says_so() -> None:
    content = bytearray(made("mp3", np.concatenate([SPEECH] * 4)))
    content[len(content) // 2 :] = random.Random(1).randbytes(len(content) // 2 + 1)
    recording, samples = recorded(bytes(content))
    assert likeness(samples[: len(SPEECH)]) > 0.97
    assert "damaged from 6" in str(recording.damage)


def test_an_m4a_that_lost_its_index_is_refused_with_the_reason() -> None:
    content = made("m4a")
    assert "index cannot be read" in refused(content[: len(content) * 6 // 10])


def test_a_file_of_which_nothing_can_be_decoded_is_refused() -> None:
    assert "nothing in it can be decoded" in refused(mp4(sound=random.Random(1).randbytes(4000)))


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"This is a text file.\n" * 99,
        bytes(100_000),
        b"%PDF-1.4\n" + bytes(999),
        b"PK\3\4" + bytes(999),
        b"<html></html>" * 99,
        b"\xff\xfb" * 99_999,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(999),
    ],
    ids=["byte", "text", "zeros", "pdf", "zip", "html", "sync words", "png"],
)
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    assert "not a recording in a supported format" in refused(content)


@pytest.mark.parametrize("name", [*FORMATS, *FILES])
def test_random_damage_ends_in_samples_or_in_a_refusal(name: str) -> None:
    whole = made(name, SPEECH[:16_000]) if name in FORMATS else (MEDIA / f"weather.{name}").read_bytes()
    chance = random.Random(name)
    for _ in range(10):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 5, 50))):
            content[chance.randrange(min(len(content), chance.choice((100, 1000, 1 << 30))))] = chance.randrange(256)
        del content[chance.choice((len(content), chance.randrange(1, len(content)))) :]
        started = time.process_time()
        with contextlib.suppress(UnsupportedAudio):
            recorded(bytes(content))
        assert time.process_time() - started < 5
