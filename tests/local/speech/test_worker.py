"""The worker process reads clips and writes words, without anything of this project."""

import io
import json
import struct
import subprocess
import sys
from pathlib import Path

from local.speech.recognizer import WORKER
from local.speech.worker import clips
from tests.support.speech_requests import MEDIA

WEATHER = (MEDIA / "weather.wav").read_bytes()[44:]


def framed(pcm: bytes) -> bytes:
    return struct.pack("<I", len(pcm)) + pcm


def test_clips_are_split_by_their_lengths() -> None:
    assert list(clips(io.BytesIO(framed(b"one") + framed(b"") + framed(b"three")))) == [b"one", b"", b"three"]


def test_a_cut_length_ends_the_clips() -> None:
    assert list(clips(io.BytesIO(framed(b"one") + b"\1\0"))) == [b"one"]


def test_the_worker_answers_each_clip_with_a_line_and_ends_with_its_input(tmp_path: Path) -> None:
    command = [sys.executable, "-P", str(WORKER)]
    worker = subprocess.run(command, input=framed(WEATHER) * 2, stdout=subprocess.PIPE, cwd=tmp_path, check=True)
    ready, first, second = map(json.loads, worker.stdout.splitlines())
    assert ready == []
    assert " ".join(text for text, _, _ in first) == "the weather is nice today and the sun is shining"
    assert second == first
