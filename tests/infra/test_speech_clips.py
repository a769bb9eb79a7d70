"""The clips of the check have the timing that its judgements rely on."""

from itertools import pairwise

import pytest

from infra.speech_check.clips import Clips, as_mp3, at_8_khz, noise
from local.speech.loudness import Loudness
from tests.support.sound import murmur
from transcription.audio.pcm import BYTES_PER_SECOND

CLIPS = Clips.read()


def longest_pause(pcm: bytes) -> float:
    words = Loudness().words(pcm, "en-US")
    return max(after.start - before.end for before, after in pairwise(words))


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.5])
def test_two_halves_of_the_sample_are_exactly_so_far_apart(seconds: float) -> None:
    assert longest_pause(CLIPS.apart(seconds)) == pytest.approx(seconds, abs=0.021)


def test_neither_half_has_a_pause() -> None:
    assert longest_pause(CLIPS.first) < 0.3
    assert longest_pause(CLIPS.second) < 0.3


@pytest.mark.parametrize("seconds", [45.0, 59.0, 62.0])
def test_running_speech_has_its_exact_length_and_no_pause(seconds: float) -> None:
    pcm = CLIPS.running(seconds)
    assert len(pcm) == seconds * BYTES_PER_SECOND
    assert longest_pause(pcm) < 0.3


def test_noise_has_no_words_and_is_always_the_same() -> None:
    assert noise(4.0) == noise(4.0)
    assert Loudness().words(noise(4.0), "en-US") == []


def test_files_of_other_formats_claim_to_be_right_ones() -> None:
    for audio in (at_8_khz(murmur(1.0)), as_mp3(murmur(1.0))):
        assert audio.content_type == "audio/wav; codecs=audio/pcm; samplerate=16000"
    assert as_mp3(murmur(1.0)).body[:3] in (b"ID3", b"\xff\xfb\x50")
    assert at_8_khz(murmur(1.0)).header[24:28] == (8000).to_bytes(4, "little")
