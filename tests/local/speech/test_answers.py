"""Words become the answers that the service would give."""

import pytest

from local.speech import SDK_SEGMENTATION, Behaviour, Script, SpeechEndpoint, Word
from tests.support.speech_requests import HELLO_WORLD, Post, tone, wav


def test_the_simple_format_is_the_default_and_has_only_text_and_ticks(post: Post) -> None:
    expected = {
        "RecognitionStatus": "Success",
        "Offset": 2_000_000,
        "Duration": 8_000_000,
        "DisplayText": "Hello world.",
    }
    assert post().json() == expected


def test_the_detailed_format_has_nbest_and_on_request_words(post: Post) -> None:
    best = {"Confidence": 0.9, "Lexical": "hello world", "ITN": "hello world", "MaskedITN": "hello world"}
    best |= {"Display": "Hello world."}
    assert post(query="language=en-US&format=detailed").json()["NBest"] == [best]
    words = post(query="language=en-US&format=detailed&wordLevelTimestamps=true").json()["NBest"][0]["Words"]
    assert words == [
        {"Word": "hello", "Offset": 2_000_000, "Duration": 3_000_000},
        {"Word": "world", "Offset": 6_000_000, "Duration": 4_000_000},
    ]


def test_ticks_can_be_strings(post: Post) -> None:
    with SpeechEndpoint(Script(HELLO_WORLD), behaviour=Behaviour(ticks="strings")) as endpoint:
        answer = post(query="language=en-US&format=detailed&wordLevelTimestamps=true", endpoint=endpoint).json()
    assert (answer["Offset"], answer["Duration"]) == ("2000000", "8000000")
    assert answer["NBest"][0]["Words"][0]["Offset"] == "2000000"


def test_words_after_a_pause_are_left_out_of_a_success(post: Post) -> None:
    words = [Word("one", 0.0, 0.5), Word("two", 1.4, 0.5), Word("three", 2.9, 0.5), Word("four", 3.5, 0.5)]
    with SpeechEndpoint(Script(words)) as endpoint:
        answer = post(endpoint=endpoint).json()
    assert (answer["RecognitionStatus"], answer["DisplayText"], answer["Duration"]) == (
        "Success",
        "One two.",
        19_000_000,
    )


def test_the_pause_that_ends_recognition_can_be_set(post: Post) -> None:
    with SpeechEndpoint(Script([Word("one", 0.0, 0.5), Word("two", 1.0, 0.5)]), behaviour=SDK_SEGMENTATION) as endpoint:
        assert post(endpoint=endpoint).json()["DisplayText"] == "One."


def test_long_leading_silence_is_a_timeout_even_if_speech_follows(post: Post) -> None:
    with SpeechEndpoint(Script([Word("late", 5.1, 0.5)])) as endpoint:
        answer = post(endpoint=endpoint).json()
    assert answer == {"RecognitionStatus": "InitialSilenceTimeout", "Offset": 50_000_000, "Duration": 0}


@pytest.mark.parametrize(
    ("pcm", "status"),
    [(tone(1.0), "NoMatch"), (bytes(32_000), "InitialSilenceTimeout"), (b"", "InitialSilenceTimeout")],
)
def test_a_clip_without_words_is_no_match_if_it_has_sound_else_a_timeout(post: Post, pcm: bytes, status: str) -> None:
    with SpeechEndpoint(Script()) as endpoint:
        answer = post(wav(pcm), "language=en-US&format=detailed", endpoint=endpoint).json()
    assert answer["RecognitionStatus"] == status
    assert not {"DisplayText", "NBest"} & set(answer)


@pytest.mark.parametrize(
    ("profanity", "display"), [("masked", "Well **** it."), ("removed", "Well it."), ("raw", "Well damn it.")]
)
def test_profanity_is_masked_removed_or_kept(post: Post, profanity: str, display: str) -> None:
    words = [Word("well", 0.0, 0.3), Word("damn", 0.3, 0.3), Word("it", 0.6, 0.3)]
    with SpeechEndpoint(Script(words)) as endpoint:
        answer = post(query=f"language=en-US&format=detailed&profanity={profanity}", endpoint=endpoint).json()
    assert answer["DisplayText"] == display
    assert answer["NBest"][0]["Lexical"] == "well damn it"
