"""The comparison of an answer with its clip: the sound that it leaves out, and the clips to resend."""

import pytest

from tests.support.speech_corpus import compose
from tests.support.transcribing import transcribe
from tests.support.words import spoken
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.clips.clip import Clip
from transcription.clips.coverage import MIN_PROGRESS_SECONDS, measure_coverage


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def clip(*speech: tuple[float, float], start: float = 100.0, length: float = 10.0) -> Clip:
    pcm = bytes(range(256)) * (at(length) * SAMPLE_BYTES // 256)
    return Clip(at(start), pcm, tuple((at(start + first), at(start + last)) for first, last in speech))


def test_an_answer_to_the_end_of_the_sound_leaves_nothing_out() -> None:
    assert measure_coverage(clip((0.2, 4.0), (4.6, 9.5)), at(109.4)) == ((), ())


def test_an_answer_that_stops_at_a_pause_leaves_out_the_sound_after_it() -> None:
    assert measure_coverage(clip((0.2, 4.0), (4.6, 9.5)), at(104.0)).uncovered == ((at(104.6), at(109.5)),)


def test_a_clip_to_resend_begins_in_the_silence_before_its_sound() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    (again,) = measure_coverage(sent, at(104.0)).resend
    assert at(104.0) <= again.start < at(104.6)
    assert sent.pcm.endswith(again.pcm)
    assert again.end == sent.end
    assert again.speech == ((at(104.6), at(109.5)),)


@pytest.mark.parametrize(("silence", "lead"), [(1.0, 0.5), (0.2, 0.15), (0.1, 0.1)])
def test_a_clip_to_resend_begins_with_half_of_the_silence_or_with_what_words_need_before_them(
    silence: float, lead: float
) -> None:
    (again,) = measure_coverage(clip((0.2, 4.0), (4.0 + silence, 9.5)), at(104.0)).resend
    assert again.start == at(104.0 + silence) - at(lead)


def test_long_leading_silence_is_not_sent_again() -> None:
    (again,) = measure_coverage(clip((0.2, 1.0), (8.0, 9.5)), at(101.0)).resend
    assert at(108.0) - again.start <= at(3.5)


@pytest.mark.parametrize("tail", [0.05, 0.2, 0.29])
def test_the_fading_of_the_last_word_is_not_sent_again(tail: float) -> None:
    assert measure_coverage(clip((0.2, 5.0)), at(105.0 - tail)).uncovered == ()


def test_a_clip_to_resend_leaves_out_the_fading_of_the_last_word() -> None:
    (again,) = measure_coverage(clip((0.2, 5.0), (5.1, 9.5)), at(104.75)).resend
    assert again.speech == ((at(105.1), at(109.5)),)


def test_a_click_after_the_last_word_is_not_sent_again() -> None:
    assert measure_coverage(clip((0.2, 5.0), (6.0, 6.1)), at(104.9)).uncovered == ()


def test_a_short_word_after_a_pause_is_sent_again() -> None:
    coverage = measure_coverage(clip((0.2, 5.0), (5.6, 5.78)), at(104.9))
    assert coverage.uncovered == ((at(105.6), at(105.78)),)


def test_an_answer_that_stops_within_sound_is_continued_where_its_words_end() -> None:
    sent = clip((0.2, 9.5))
    assert measure_coverage(sent, at(105.0)).resend[0].start == at(105.0)
    assert measure_coverage(sent, at(105.0), words_end=at(104.7)).resend[0].start == at(104.7)


def test_the_end_of_the_words_does_not_count_where_silence_follows_it() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    assert measure_coverage(sent, at(104.3), words_end=at(103.9)) == measure_coverage(sent, at(104.3))


def test_clips_to_resend_are_cut_at_all_silences_like_the_one_that_stopped_the_service() -> None:
    clips = measure_coverage(clip((0.2, 2.0), (2.6, 4.0), (4.3, 5.0), (5.6, 9.5)), at(102.0)).resend
    assert [again.speech for again in clips] == [
        ((at(102.6), at(104.0)), (at(104.3), at(105.0))),
        ((at(105.6), at(109.5)),),
    ]
    assert clips[0].end == clips[1].start == at(105.3)


def test_a_clip_to_resend_is_not_cut_at_silences_much_shorter_than_the_one_that_stopped_the_service() -> None:
    (again,) = measure_coverage(clip((0.2, 2.0), (4.0, 5.0), (5.6, 9.5)), at(102.0)).resend
    assert again.speech == ((at(104.0), at(105.0)), (at(105.6), at(109.5)))


@pytest.mark.parametrize("answer_end", [99.0, 100.0, 100.2])
def test_an_answer_that_got_nowhere_leaves_sound_uncovered_and_nothing_to_resend(answer_end: float) -> None:
    uncovered, resend = measure_coverage(clip((0.1, 9.5)), at(answer_end))
    assert uncovered != ()
    assert resend == ()


def test_an_answer_beyond_the_end_of_the_clip_leaves_nothing_out() -> None:
    assert measure_coverage(clip((0.2, 9.5)), at(200)) == ((), ())


def test_resending_ends_with_a_service_that_always_covers_less() -> None:
    waiting, requests, length = [clip((0.1, 57.9), length=58.0)], 0, at(58.0)
    while waiting:
        sent = waiting.pop()
        requests += 1
        resend = measure_coverage(sent, sent.start + at(MIN_PROGRESS_SECONDS)).resend
        assert sum(len(again.pcm) for again in resend) < len(sent.pcm)
        waiting += resend
    assert requests <= length / at(MIN_PROGRESS_SECONDS) + 1


@pytest.mark.parametrize("service_pause", [0.2, 0.5, 1.0, 2.0])
def test_resending_recovers_the_words_that_the_service_left_out(service_pause: float) -> None:
    recording = compose((0.15, 0.3, 0.5, 0.7), ("white", 25), 90, seed=21)
    outcome = transcribe(recording, service_pause)
    assert outcome.words == [word for text, _, _ in recording.words for word in spoken(text)]
    assert outcome.transcript.gaps == ()


def test_a_service_that_stops_early_is_not_sent_everything_many_times() -> None:
    recording = compose((0.5, 0.6, 0.7), ("white", 25), 120, seed=22)
    assert transcribe(recording, 0.45).usage.audio_seconds <= 2.5 * recording.seconds
