"""A clip: its place in the recording, and its parts."""

from transcription.audio.pcm import SAMPLE_RATE
from transcription.clips.clip import Clip, clipped, total_length

CLIP = Clip(1000, bytes(range(200)), ((1010, 1030), (1050, 1090)), overlap=20)  # 100 samples


def test_a_clip_ends_where_its_samples_end() -> None:
    assert CLIP.end == 1100
    assert CLIP.seconds == 100 / SAMPLE_RATE


def test_a_part_has_its_own_samples_and_its_share_of_the_sound() -> None:
    part = CLIP.between(1020, 1060)
    assert part.pcm == bytes(range(40, 120))
    assert (part.start, part.end) == (1020, 1060)
    assert part.speech == ((1020, 1030), (1050, 1060))


def test_a_part_shares_no_sound_with_the_previous_clip() -> None:
    assert CLIP.between(1000, 1100).overlap == 0


def test_stretches_that_only_touch_the_bounds_are_clipped_away() -> None:
    assert clipped([(0, 10), (20, 30), (40, 50)], 10, 40) == ((20, 30),)


def test_stretches_outside_the_bounds_are_clipped_away() -> None:
    assert clipped([(0, 5), (20, 30), (45, 50)], 10, 40) == ((20, 30),)


def test_the_lengths_of_stretches_add_up() -> None:
    assert total_length([(0, 10), (20, 25)]) == 15
    assert total_length([]) == 0
