"""What decoding and cutting cost, next to ffmpeg's command line."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import imageio_ffmpeg

from bench.children import run
from bench.recordings import KINDS, MINUTE, coded, talk
from bench.results import Row, milliseconds, ratios
from bench.service import BYTES_PER_SECOND
from local.progress import say
from tests.support.transcribing import blocks
from transcription.audio.recording import open_recording
from transcription.clips.cutting import cut

PAIRS = 9
CUT_MINUTES = 10


def rows() -> Iterator[Row]:
    for kind in KINDS:
        yield decoding(kind)
    yield cutting()


def decoding(kind: str) -> Row:
    say(f"  a minute of {kind}, {PAIRS} times each")
    file = coded(kind, 1)
    ours, theirs = [], []
    for _ in range(PAIRS):
        ours.append(decode(file))
        theirs.append(decode_by_command(file))
    return Row(
        f"CPU to decode a minute of {kind}",
        "ffmpeg's command line, whole process",
        milliseconds(ours),
        milliseconds(theirs),
        ratios(ours, theirs),
        "×",
        1.4,
    )


def decode(file: Path) -> float:
    """CPU seconds, in a process that has the decoder loaded."""
    started = time.process_time()
    with file.open("rb") as stream:
        size = sum(map(len, open_recording(stream, file.stat().st_size).blocks()))
    taken = time.process_time() - started
    expect_a_minute(size)
    return taken


def decode_by_command(file: Path) -> float:
    """CPU seconds of the process."""
    to_samples = ["-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    quiet = ["-v", "error", "-nostdin", "-threads", "1"]
    ended = run([imageio_ffmpeg.get_ffmpeg_exe(), *quiet, "-i", str(file), "-vn", *to_samples])
    expect_a_minute(len(ended.output))
    return ended.cpu_seconds


def expect_a_minute(size: int) -> None:
    """RuntimeError: so many bytes of 16 kHz mono s16le are no minute, give or take what encoders add."""
    if abs(size / BYTES_PER_SECOND - MINUTE) > 0.5:
        raise RuntimeError(f"{size} bytes of sound are no minute: nothing is measured by that")


def cutting() -> Row:
    say(f"  the cuts in {CUT_MINUTES} minutes, {PAIRS} times")
    pcm = talk(CUT_MINUTES * MINUTE).pcm
    taken = []
    for _ in range(PAIRS):
        started = time.process_time()
        clips = sum(1 for _ in cut(blocks(pcm)))
        taken.append(1000 * (time.process_time() - started) / CUT_MINUTES)
        if clips < CUT_MINUTES:  # each is shorter than a minute
            raise RuntimeError(f"{clips} clips cannot be all")
    return Row("CPU to find the cuts, a minute", "–", f"{median(taken):.2f} ms", "", taken, "ms", 5)
