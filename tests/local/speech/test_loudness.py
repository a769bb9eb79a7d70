"""Every stretch of sound is a word, at its exact time."""

import pytest

from local.speech.loudness import Loudness
from tests.support.speech_requests import tone


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16_000 * seconds))


def test_each_stretch_of_sound_is_a_word_at_its_time() -> None:
    pcm = silence(0.4) + tone(0.6) + silence(1.0) + tone(0.2)
    words = Loudness().words(pcm, "en-US")
    assert [(word.start, word.end) for word in words] == [pytest.approx((0.4, 1.0)), pytest.approx((2.0, 2.2))]


@pytest.mark.parametrize("pcm", [b"", silence(2.0), tone(0.5, level=20), tone(4.0)])
def test_silence_and_sound_that_never_stops_have_no_words(pcm: bytes) -> None:
    assert Loudness().words(pcm, "en-US") == []
