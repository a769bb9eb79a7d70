"""Channels of any number and kind, and sample rates → 16 kHz mono."""

import struct

import numpy as np
import pytest

from tests.support.media_files import RATE, encoded, hum
from tests.support.recordings import SPEECH, assert_speech, level, likeness, recorded, refused
from tests.support.sound import wav


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return recorded(encoded([left, right], "flac", "flac"))[1]


def test_two_channels_are_averaged() -> None:
    samples = stereo(hum(2, 300), hum(2, 500))
    assert np.allclose(samples, (hum(2, 300) + hum(2, 500)) / 2, atol=2)


def test_channels_that_cancel_leave_the_louder_one() -> None:
    assert np.allclose(stereo(SPEECH, -SPEECH), SPEECH, atol=2)
    assert np.allclose(stereo(0.5 * SPEECH, -SPEECH), -SPEECH, atol=2)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_silent_channel_takes_nothing_from_the_level(dead: int) -> None:
    noise = np.random.default_rng(1).normal(0, 1, len(SPEECH)).round()  # as converters have it with nothing connected
    channels = [SPEECH, SPEECH]
    channels[dead] = noise
    assert level(stereo(*channels)) == pytest.approx(level(SPEECH), rel=0.01)


def test_a_speaker_who_turns_up_in_the_other_channel_is_heard_from_the_first_moment() -> None:
    nobody = np.zeros(len(SPEECH))
    samples = stereo(np.concatenate([SPEECH, nobody]), np.concatenate([nobody, SPEECH]))
    assert likeness(samples[: len(SPEECH)]) > 0.9
    assert likeness(samples[len(SPEECH) :]) > 0.9
    assert level(samples[len(SPEECH) :]) > 0.5 * level(SPEECH)


def test_a_change_of_the_mixture_does_not_click() -> None:
    low = hum(3, 100)
    samples = stereo(low, np.concatenate([-low[:RATE], low[RATE:]]))
    assert np.abs(np.diff(samples)).max() < 1.6 * np.abs(np.diff(low)).max()


def test_the_centre_of_surround_sound_is_heard() -> None:
    nobody = np.zeros(len(SPEECH))
    _, samples = recorded(encoded([nobody, nobody, SPEECH, nobody, nobody, nobody], "flac", "flac"))
    assert level(samples) == pytest.approx(level(SPEECH), rel=0.02)


@pytest.mark.parametrize("channels", [3, 4, 8, 16])
def test_channels_without_names_count_alike(channels: int) -> None:
    sound = np.zeros((channels, RATE))
    sound[-1] = hum(1)
    content = wav(sound.T.astype(np.int16).tobytes(), channels=channels)
    assert level(recorded(content)[1]) == pytest.approx(level(hum(1)), rel=0.02)


@pytest.mark.parametrize("channels", [17, 255])
def test_too_many_channels_are_refused(channels: int) -> None:
    assert f"{channels} channels" in refused(wav(bytes(100_000), channels=channels))


@pytest.mark.parametrize("rate", [4_000, 384_000])
def test_rates_of_old_recorders_and_of_studios_are_taken(rate: int) -> None:
    _, samples = recorded(wav(hum(1, 440, rate).astype(np.int16).tobytes(), rate=rate))
    assert np.allclose(samples[2000:-2000], hum(1)[2000:-2000], atol=100)


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 0x7FFFFFFF, 0])
def test_absurd_rates_are_refused(rate: int) -> None:
    refused(wav(bytes(100_000), rate=rate))


@pytest.mark.parametrize("labels", [(1, 1), (2, 1), (3, 35), (0x10000, 0x10005)])
def test_an_order_of_channels_of_the_files_own_does_no_harm(labels: tuple[int, int]) -> None:
    content = encoded([SPEECH, SPEECH], "caf", "pcm_s16le")
    position = content.index(b"chan")
    names = b"".join(struct.pack(">II3f", label, 0, 0, 0, 0) for label in labels)
    description = b"chan" + struct.pack(">QIII", 12 + len(names), 0, 0, 2) + names
    for _ in range(3):
        assert_speech(recorded(content[:position] + description + content[position + 24 :])[1])


def test_an_order_of_channels_that_comes_up_while_decoding_does_no_harm() -> None:
    plain = {"mapping_family": "255"}
    content = encoded([hum(1)] * 6, "webm", "libopus", rate=48000, layout="6 channels", codec_options=plain)
    family = content.index(b"OpusHead") + 18
    ambisonic = content[:family] + b"\2" + content[family + 1 :]  # of four channels, and two beside them
    for _ in range(3):
        assert level(recorded(ambisonic)[1]) == pytest.approx(level(hum(1)), rel=0.05)
