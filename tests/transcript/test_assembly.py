"""The transcript of all clips: order, shared audio, gaps, and which error wins."""

import pytest

from transcription.audio.pcm import SAMPLE_RATE
from transcription.errors import Exhausted, NothingRecognized, RequestRefused, TranscriptionError
from transcription.transcript.assembly import ClipResult, assemble
from transcription.transcript.model import Gap, Phrase, Transcript, Word


def result(start: float, end: float, *phrases: Phrase, overlap: float = 0.0) -> ClipResult:
    first, last, shared = (round(seconds * SAMPLE_RATE) for seconds in (start, end, overlap))
    return ClipResult(first, last, shared, list(phrases))


def failed(error: TranscriptionError) -> ClipResult:
    clip = result(5.0, 10.0)
    clip.add_gap([(5 * SAMPLE_RATE, 10 * SAMPLE_RATE)], error.code)
    clip.error = error
    return clip


def timed(text: str, start: float) -> Phrase:
    words = tuple(Word(word, start + index * 0.5, 0.5) for index, word in enumerate(text.split()))
    return Phrase(start, 0.5 * len(words), text, words=words)


def assembled(*results: ClipResult, damaged: tuple[Gap, ...] = ()) -> Transcript:
    return assemble(results, damaged, 10.0, "en-US")


def test_a_gap_reaches_from_the_first_stretch_of_speech_to_the_last() -> None:
    clip = result(0.0, 10.0)
    clip.add_gap([], "NoMatch")
    clip.add_gap([(SAMPLE_RATE, 2 * SAMPLE_RATE), (4 * SAMPLE_RATE, 6 * SAMPLE_RATE)], "NoMatch")
    assert clip.gaps == [Gap(1.0, 5.0, "NoMatch")]


def test_phrases_of_separate_clips_stay_as_they_are() -> None:
    phrases = timed("hello hello", 0.0), timed("hello hello", 5.0)
    assert assembled(result(0.0, 5.0, phrases[0]), result(5.0, 10.0, phrases[1])).phrases == phrases


def test_phrases_of_one_clip_are_put_in_order() -> None:
    late, early = timed("late", 3.0), timed("early", 1.0)
    assert [phrase.text for phrase in assembled(result(0.0, 5.0, late, early)).phrases] == ["early", "late"]


def test_words_in_shared_audio_are_kept_once() -> None:
    clips = result(0.0, 3.0, timed("a b c d", 0.0)), result(1.0, 6.0, timed("c d e", 1.0), overlap=1.0)
    assert " ".join(phrase.text for phrase in assembled(*clips).phrases) == "a b c d e"


def test_without_word_times_the_seam_is_within_the_shared_audio() -> None:
    clips = result(0.0, 3.0, Phrase(0.0, 3.0, "a b c d")), result(1.0, 6.0, Phrase(1.0, 5.0, "c d e"), overlap=2.0)
    first, second = assembled(*clips).phrases
    assert (first.text, second.text) == ("a b c", "d e")
    assert (first.end, second.offset, second.end) == (2.0, 2.0, 6.0)


def test_no_phrase_reaches_into_the_next() -> None:
    first, second = assembled(result(0.0, 5.0, Phrase(0.0, 9.0, "long"), Phrase(4.0, 1.0, "next"))).phrases
    assert (first.end, second.offset) == (4.0, 4.0)


def test_gaps_of_clips_and_of_the_file_are_in_order() -> None:
    clip = result(0.0, 5.0, timed("hello", 0.0))
    clip.add_gap([(4 * SAMPLE_RATE, 5 * SAMPLE_RATE)], "NoMatch")
    gaps = assembled(clip, damaged=(Gap(8.0, 1.0, "DamagedAudio"), Gap(2.0, 1.0, "DamagedAudio"))).gaps
    assert [gap.offset for gap in gaps] == [2.0, 4.0, 8.0]


def test_only_an_error_that_may_pass_is_reported_with_the_words() -> None:
    words, refused, exhausted = result(0.0, 5.0, timed("hi", 0.0)), RequestRefused("400"), Exhausted("no time")
    assert assembled(words, failed(refused), failed(exhausted)).error is exhausted
    assert assembled(words, failed(refused)).error is None


def test_without_words_the_error_that_may_pass_is_raised_first() -> None:
    with pytest.raises(Exhausted, match="no time"):
        assembled(failed(RequestRefused("400")), failed(Exhausted("no time")))
    with pytest.raises(RequestRefused, match="400"):
        assembled(failed(RequestRefused("400")))


def test_speech_without_words_is_nothing_recognized_and_silence_is_not() -> None:
    clip = result(0.0, 5.0)
    assert assembled(clip) == Transcript("en-US", 10.0, ())
    clip.add_gap([(0, SAMPLE_RATE)], "NoMatch")
    with pytest.raises(NothingRecognized, match="no words of en-US"):
        assembled(clip)
