"""The table of behaviours says where each line is known from, and measured lines replace assumed ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local.speech import ASSUMED, SDK_SEGMENTATION, Behaviour, Script, SpeechEndpoint, Word
from tests.support.speech_requests import HELLO_WORLD, Post, tone, wav

WITH_TIMES = "language=en-US&format=detailed&wordLevelTimestamps=true"
PAUSED = [Word("one", 0.0, 0.5), Word("two", 1.2, 0.5)]
LONGER = "&SpeechContext-phraseDetection.conversation.segmentation.segmentationSilenceTimeoutMs=2000"


def test_every_line_names_its_basis_and_its_source() -> None:
    for line in ASSUMED.table():
        assert line.basis in ("documented", "reported")
        assert line.source


def test_the_second_profile_stops_at_half_a_second_and_is_otherwise_the_same() -> None:
    assert SDK_SEGMENTATION.pause_seconds == 0.5
    assert replace(SDK_SEGMENTATION, pause_seconds=ASSUMED.pause_seconds) == ASSUMED


def test_a_saved_check_replaces_the_lines_that_it_measured(tmp_path: Path) -> None:
    saved = tmp_path / "check.json"
    measured = {"pause_seconds": 0.6, "language_error": '400 {"Message":"No"}', "colour": "blue"}
    saved.write_text(json.dumps({"checkedAt": "2026-11-26T10:00:00Z", "measured": measured}))
    behaviour = Behaviour.saved(saved)
    lines = {line.name: line for line in behaviour.table()}
    assert lines["pause_seconds"] == ("pause_seconds", 0.6, "measured", "2026-11-26T10:00:00Z")
    assert (lines["wordless"].basis, behaviour.error("language")) == ("documented", (400, b'{"Message":"No"}'))
    assert "colour" not in lines


def test_an_endpoint_behaves_as_its_table_says(post: Post) -> None:
    with SpeechEndpoint(Script(PAUSED), behaviour=Behaviour(pause_seconds=0.7, word_times="ignored")) as endpoint:
        (best,) = post(query=WITH_TIMES, endpoint=endpoint).json()["NBest"]
    assert best["Display"] == "One."
    assert "Words" not in best


@pytest.mark.parametrize(("obeyed", "text"), [("ignored", "One."), ("obeyed", "One two.")])
def test_a_longer_pause_can_be_asked_for_if_the_table_says_so(post: Post, obeyed: str, text: str) -> None:
    with SpeechEndpoint(Script(PAUSED), behaviour=Behaviour(pause_seconds=0.5, segmentation=obeyed)) as endpoint:
        assert post(query="language=en-US" + LONGER, endpoint=endpoint).json()["DisplayText"] == text


@pytest.mark.parametrize(
    ("odd_one", "query"),
    [
        (Behaviour(detailed="ignored"), "language=en-US&format=detailed"),
        (Behaviour(simple="ignored"), "language=en-US&format=simple"),
    ],
)
def test_a_format_that_is_ignored_gives_the_other_one(post: Post, odd_one: Behaviour, query: str) -> None:
    script = Script(HELLO_WORLD)
    with SpeechEndpoint(script) as usual, SpeechEndpoint(script, behaviour=odd_one) as odd:
        has_list = ["NBest" in post(query=query, endpoint=endpoint).json() for endpoint in (usual, odd)]
    assert has_list[0] is not has_list[1]


@pytest.mark.parametrize(
    ("behaviour", "query"),
    [
        (Behaviour(word_times="refused"), WITH_TIMES),
        (Behaviour(profanity="refused"), "language=en-US&profanity=removed"),
    ],
)
def test_an_option_may_be_refused(post: Post, behaviour: Behaviour, query: str) -> None:
    with SpeechEndpoint(Script(HELLO_WORLD), behaviour=behaviour) as endpoint:
        assert post(query=query, endpoint=endpoint).status_code == 400
        assert post(endpoint=endpoint).status_code == 200


def test_audio_past_the_limit_is_dropped_if_the_table_says_so(post: Post) -> None:
    script = Script(HELLO_WORLD)
    with SpeechEndpoint(script, behaviour=Behaviour(too_long="dropped", max_seconds=1.0)) as endpoint:
        assert post(wav(tone(2.0)), endpoint=endpoint).status_code == 200
    assert script.calls[0][0] == tone(1.0)


def test_other_audio_is_understood_if_the_table_says_so(post: Post) -> None:
    script = Script(HELLO_WORLD)
    with SpeechEndpoint(script, behaviour=Behaviour(other_audio="understood")) as endpoint:
        assert post(wav(tone(1.0), rate=8000), endpoint=endpoint).status_code == 200
    assert len(script.calls[0][0]) == pytest.approx(4 * 16_000, rel=0.02)


def test_a_model_that_does_not_exist_is_refused_in_the_words_of_the_service(post: Post) -> None:
    with SpeechEndpoint(Script(HELLO_WORLD), models=("mine",)) as endpoint:
        assert post(query="language=en-US&cid=mine", endpoint=endpoint).status_code == 200
        answer = post(query="language=en-US&cid=other", endpoint=endpoint)
    assert (answer.status_code, answer.json()) == (400, {"Message": "Invalid CID or language"})
