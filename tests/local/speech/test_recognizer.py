"""pocketsphinx recognises English offline, in worker processes that do not outlive it. HelloWorld costs nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from local.speech import HelloWorld, PocketSphinx, RecognitionFailed, SpeechEndpoint, Word
from tests.support.speech_requests import MEDIA, Post

WEATHER = (MEDIA / "weather.wav").read_bytes()
SPOKEN = "the weather is nice today and the sun is shining"


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def recognizer() -> Iterator[PocketSphinx]:
    with PocketSphinx(processes=1) as recognizer:
        recognizer.ready()
        yield recognizer


def test_speech_becomes_words_through_the_endpoint(recognizer: PocketSphinx, post: Post) -> None:
    with SpeechEndpoint(recognizer) as endpoint:
        answer = post(WEATHER, "language=en-US&format=detailed&wordLevelTimestamps=true", endpoint=endpoint).json()
    assert answer["RecognitionStatus"] == "Success"
    assert answer["NBest"][0]["Lexical"] == SPOKEN
    assert [word["Word"] for word in answer["NBest"][0]["Words"]] == SPOKEN.split()


def test_words_have_times_inside_the_clip_in_order(recognizer: PocketSphinx) -> None:
    words = recognizer.words(WEATHER[44:], "en-US")
    assert all(word.end <= following.start + 0.001 for word, following in pairwise(words))
    assert words[0].start >= 0
    assert words[-1].end <= len(WEATHER[44:]) / 32_000


def test_a_clip_is_recognised_the_same_after_other_clips(recognizer: PocketSphinx) -> None:
    first = recognizer.words(WEATHER[44:], "en-US")
    recognizer.words(WEATHER[44:20_044], "en-US")
    assert recognizer.words(WEATHER[44:], "en-US") == first


@pytest.mark.parametrize("pcm", [b"", bytes(100), bytes(64_000), WEATHER[10_000:10_100]])
def test_silence_and_tiny_clips_have_no_words(recognizer: PocketSphinx, pcm: bytes) -> None:
    assert recognizer.words(pcm, "en-US") == []


def test_other_languages_are_recognised_as_english_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    with PocketSphinx(processes=1) as recognizer:
        for language in ("en-GB", "de-DE", "fr-FR"):
            recognizer.words(b"", language)
    assert [record.message for record in caplog.records] == [
        "the local recogniser knows English only: de-DE is recognised as English"
    ]


def test_closing_ends_the_workers_and_recognitions_in_progress() -> None:
    recognizer = PocketSphinx(processes=2).__enter__()
    workers = recognizer.pids
    assert len(workers) == 2
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(recognizer.words, WEATHER[44:] * 10, "en-US") for _ in range(4)]
        time.sleep(0.1)
        recognizer.close()
        assert [type(answer.exception(5)) for answer in answers] == [RecognitionFailed] * 4
    assert not any(map(is_running, workers))


def test_a_worker_that_was_killed_is_replaced() -> None:
    with PocketSphinx(processes=1) as recognizer:
        recognizer.ready()
        (worker,) = recognizer.pids
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(RecognitionFailed):
            recognizer.words(WEATHER[44:], "en-US")
        assert recognizer.words(WEATHER[44:], "en-US")
        assert recognizer.pids != [worker]


def test_workers_end_with_a_parent_that_was_killed() -> None:
    code = """
import time
from local.speech import PocketSphinx
with PocketSphinx(processes=1) as recognizer:
    recognizer.ready()
    print(flush=True)
    time.sleep(60)
"""
    root = Path(__file__).parent.parent.parent.parent
    # Its workers inherit its standard error, which ends once they all have.
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()
        assert parent.communicate(timeout=5) == (b"", b"")


def test_hello_world_covers_a_clip_of_any_length() -> None:
    assert HelloWorld().words(bytes(64_000), "de-DE") == [Word("hello", 0.0, 1.0), Word("world", 1.0, 1.0)]
