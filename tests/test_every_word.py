"""From a file's bytes to its words, without storage: in every format, at any length, in flat memory.

The endpoint knows the true words, and stops at pauses as the service is reported to.
"""

import io
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from local.speech import ASSUMED, SDK_SEGMENTATION, Behaviour, SpeechEndpoint
from tests.support.recordings import FORMATS, encode_as
from tests.support.settings import SPEECH_KEY
from tests.support.speech_corpus import Recording, compose, without_words
from tests.support.transcribing import sent_seconds, transcribe_file
from tests.support.truth import Recognizer
from tests.support.words import spoken

PROJECT = Path(__file__).parent.parent
TALK = compose((0.2, 0.4, 0.9, 1.6, 2.5), ("white", 30), 40, seed=77)
NOISE = Behaviour(wordless="BabbleTimeout")
TIME_TOLERANCE = 0.1  # seconds; telephone codecs halve the band, and µ-law, 8 bit and ADPCM add noise


@pytest.fixture(scope="module", params=[ASSUMED, SDK_SEGMENTATION], ids=["1 s", "0.5 s"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[SpeechEndpoint]:
    """Yield endpoints that stop at pauses of a second, and of half a second."""
    with SpeechEndpoint(Recognizer([TALK]), key=SPEECH_KEY, behaviour=request.param) as endpoint:
        yield endpoint


def words(recording: Recording) -> list[str]:
    return [word for text, _, _ in recording.words for word in spoken(text)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_words_at_the_same_times(endpoint: SpeechEndpoint, name: str) -> None:
    sound = np.frombuffer(TALK.pcm, np.int16).astype(float)
    transcript = transcribe_file(io.BytesIO(encode_as(name, sound)), endpoint)
    assert spoken(" ".join(phrase.text for phrase in transcript.phrases)) == words(TALK)
    transcribed_words = [word for phrase in transcript.phrases for word in phrase.words]
    for word, (_, start, _) in zip(transcribed_words, TALK.words, strict=True):
        assert word.offset == pytest.approx(start, abs=TIME_TOLERANCE)
    for before, after in pairwise(transcript.phrases):
        assert before.end <= after.offset + 0.001


@pytest.mark.parametrize("kind", ["music", "ringing", "typing"])
def test_five_minutes_without_words_are_sent_about_once_and_leave_no_gap(kind: str) -> None:
    recording = without_words(kind, 300)
    with SpeechEndpoint(Recognizer([recording]), key=SPEECH_KEY, behaviour=NOISE) as endpoint:
        transcript = transcribe_file(io.BytesIO(encode_as("flac", np.frombuffer(recording.pcm, np.int16))), endpoint)
        sent = sum(sent_seconds(endpoint.received))
    assert (transcript.status, transcript.gaps) == ("NoSpeech", ())
    assert sent <= 1.2 * 300


MEMORY = """
import resource, sys
from pathlib import Path
from tests.support.long_recording import transcribed
transcribed(Path(sys.argv[1]), float(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_two_hours_take_no_more_memory_than_two_minutes(tmp_path: Path) -> None:
    """Each runs in a process of its own, because the peak of a process never goes down."""
    minute = tmp_path / "minute.pcm"
    minute.write_bytes(compose((0.2, 0.5, 0.7, 1.2), ("white", 30), 60, seed=5).pcm)

    def peak(minutes: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(minute), str(minutes)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=110, check=True)
        return int(done.stdout) / 1024

    short, long = peak(2), peak(120)
    assert long <= short + 30, "MB"
