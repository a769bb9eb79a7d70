"""What an answer covers, what is sent again, and that this comes to an end."""

import pytest

from tests.support.speech_corpus import SAMPLE_RATE, compose
from tests.support.transcribing import transcribe
from tests.support.words import spoken
from transcription.clips.coverage import LEAST_PROGRESS_SECONDS, remainder, rests
from transcription.clips.cutting import Clip


def at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def clip(*voiced: tuple[float, float], start: float = 100.0, length: float = 10.0) -> Clip:
    pcm = bytes(range(256)) * (at(length) // 128)
    return Clip(at(start), pcm, tuple((at(start + first), at(start + last)) for first, last in voiced))


def test_an_answer_to_the_end_of_the_sound_leaves_nothing() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    assert remainder(sent, at(109.4)) == ()
    assert rests(sent, at(109.4)) == ()


def test_an_answer_that_stops_at_a_pause_leaves_the_sound_behind_it() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    assert remainder(sent, at(104.0)) == ((at(104.6), at(109.5)),)


def test_a_rest_is_the_end_of_the_clip_and_begins_in_the_silence_before_its_sound() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    (rest,) = rests(sent, at(104.0))
    assert at(104.0) <= rest.start < at(104.6)
    assert sent.pcm.endswith(rest.pcm)
    assert rest.end == sent.end
    assert rest.voiced == ((at(104.6), at(109.5)),)


def test_long_leading_silence_is_not_sent_again() -> None:
    (rest,) = rests(clip((0.2, 1.0), (8.0, 9.5)), at(101.0))
    assert at(108.0) - rest.start <= at(3.5)


@pytest.mark.parametrize("tail", [0.05, 0.2, 0.29])
def test_the_last_words_own_fading_is_not_sent_again(tail: float) -> None:
    assert remainder(clip((0.2, 5.0)), at(105.0 - tail)) == ()


def test_a_click_behind_the_last_word_is_not_sent_again() -> None:
    assert remainder(clip((0.2, 5.0), (6.0, 6.1)), at(104.9)) == ()


def test_a_short_word_behind_a_pause_is_sent_again() -> None:
    assert remainder(clip((0.2, 5.0), (5.6, 5.78)), at(104.9)) == ((at(105.6), at(105.78)),)


def test_an_answer_that_stops_within_sound_is_continued_where_its_words_end() -> None:
    sent = clip((0.2, 9.5))
    assert rests(sent, at(105.0))[0].start == at(105.0)
    assert rests(sent, at(105.0), spoken=at(104.7))[0].start == at(104.7)


def test_the_end_of_the_words_does_not_count_where_silence_follows_it() -> None:
    sent = clip((0.2, 4.0), (4.6, 9.5))
    assert rests(sent, at(104.3), spoken=at(103.9)) == rests(sent, at(104.3))


def test_what_is_left_is_cut_at_all_silences_like_the_one_that_stopped_the_service() -> None:
    pieces = rests(clip((0.2, 2.0), (2.6, 4.0), (4.3, 5.0), (5.6, 9.5)), at(102.0))
    assert [piece.voiced for piece in pieces] == [
        ((at(102.6), at(104.0)), (at(104.3), at(105.0))),
        ((at(105.6), at(109.5)),),
    ]
    assert pieces[0].end == pieces[1].start == at(105.3)


@pytest.mark.parametrize("covered", [99.0, 100.0, 100.2])
def test_an_answer_that_got_nowhere_leaves_a_gap_and_nothing_to_send(covered: float) -> None:
    sent = clip((0.1, 9.5))
    assert rests(sent, at(covered)) == ()
    assert remainder(sent, at(covered)) != ()


def test_an_answer_beyond_the_clips_end_leaves_nothing() -> None:
    assert rests(clip((0.2, 9.5)), at(200)) == ()


def test_sending_rests_comes_to_an_end_with_a_service_that_always_covers_less() -> None:
    waiting, requests, length = [clip((0.1, 57.9), length=58.0)], 0, at(58.0)
    while waiting:
        sent = waiting.pop()
        requests += 1
        pieces = rests(sent, sent.start + at(LEAST_PROGRESS_SECONDS))
        assert sum(len(piece.pcm) for piece in pieces) < len(sent.pcm)
        waiting += pieces
    assert requests <= length / at(LEAST_PROGRESS_SECONDS) + 1


@pytest.mark.parametrize("service_pause", [0.2, 0.5, 1.0, 2.0])
def test_what_the_service_leaves_out_is_had_by_sending_it_again(service_pause: float) -> None:
    recording = compose((0.15, 0.3, 0.5, 0.7), ("white", 25), 90, seed=21)
    outcome = transcribe(recording, service_pause)
    assert outcome.words == [word for text, _, _ in recording.words for word in spoken(text)]
    assert outcome.transcript.gaps == ()


def test_a_service_that_stops_early_does_not_have_everything_sent_many_times() -> None:
    recording = compose((0.5, 0.6, 0.7), ("white", 25), 120, seed=22)
    assert transcribe(recording, 0.45).usage.audio_seconds <= 2.5 * recording.seconds
