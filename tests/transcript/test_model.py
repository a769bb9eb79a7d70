"""The parts of a transcript, whose times can be shifted and clamped."""

import threading

import pytest

from transcription.transcript.model import Gap, Phrase, Transcript, Usage, Word, rounded


def test_a_word_is_clamped_to_an_end() -> None:
    word = Word("hello", 1.0, 0.5)
    assert word.clamped(1.25) == Word("hello", 1.0, 0.25)
    assert word.clamped(0.75) == Word("hello", 0.75, 0.0)
    assert word.clamped(9.0) == word


def test_a_phrase_is_clamped_to_a_start_and_an_end() -> None:
    phrase = Phrase(1.0, 2.0, "hello")
    assert phrase.clamped(1.5, 2.5) == Phrase(1.5, 1.0, "hello")
    assert phrase.clamped(4.0, 5.0) == Phrase(4.0, 0.0, "hello")
    assert phrase.clamped(0.0, 9.0) == phrase


def test_a_phrase_is_shifted_with_its_words() -> None:
    phrase = Phrase(1.0, 2.0, "hello", words=(Word("hello", 1.25, 0.5),))
    assert phrase.shifted(10.0) == Phrase(11.0, 2.0, "hello", words=(Word("hello", 11.25, 0.5),))


def test_an_assessment_is_shifted_at_every_depth_and_its_scores_stay() -> None:
    assessment = {
        "pronScore": 90.0,
        "words": [
            {"word": "hello", "offsetSeconds": 0.1, "durationSeconds": 0.5, "phonemes": [{"offsetSeconds": 0.2}]},
            {"word": "world", "errorType": "Omission"},
        ],
    }
    assert Phrase(0.0, 1.0, "hello", pronunciation=assessment).shifted(10.0).pronunciation == {
        "pronScore": 90.0,
        "words": [
            {"word": "hello", "offsetSeconds": 10.1, "durationSeconds": 0.5, "phonemes": [{"offsetSeconds": 10.2}]},
            {"word": "world", "errorType": "Omission"},
        ],
    }


@pytest.mark.parametrize(
    ("phrases", "gaps", "status"),
    [
        ((Phrase(0.0, 1.0, "hello"),), (), "Succeeded"),
        ((Phrase(0.0, 1.0, "hello"),), (Gap(1.0, 1.0, "NoMatch"),), "Partial"),
        ((), (), "NoSpeech"),
    ],
)
def test_the_status_follows_from_phrases_and_gaps(
    phrases: tuple[Phrase, ...], gaps: tuple[Gap, ...], status: str
) -> None:
    assert Transcript("en-US", 2.0, phrases, gaps).status == status


def test_usage_counts_the_requests_of_all_threads() -> None:
    usage = Usage()

    def send() -> None:
        for _ in range(500):
            usage.sent("id")
            usage.answered(0.5)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (usage.requests, usage.answers, usage.audio_seconds) == (2000, 2000, 1000.0)


def test_two_recordings_never_count_as_the_same_usage() -> None:
    assert Usage() != Usage()


def test_seconds_are_rounded_to_the_millisecond() -> None:
    assert rounded(0.1 + 0.2) == 0.3
    assert rounded(1.23456) == 1.235
