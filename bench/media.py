"""The cost of decoding, compared with ffmpeg's command line, and of cutting."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import imageio_ffmpeg

from bench.children import run
from bench.recordings import KINDS, MINUTE, coded, talk
from bench.results import Row, milliseconds, ratios
from local.progress import say
from tests.support.recordings import DECODERS, decoder_processes
from tests.support.transcribing import blocks
from transcription.audio.pcm import BYTES_PER_SECOND
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
    decode(file)  # starts a decoder, if this is the first file
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
    """Return the CPU seconds of this process and of its decoders, which are warm."""
    started = cpu_seconds()
    with file.open("rb") as stream:
        opened = open_recording(stream, file.stat().st_size, DECODERS, lambda: None)
        size = sum(map(len, opened.blocks()))
    seconds = cpu_seconds() - started
    check_minute(size)
    return seconds


def cpu_seconds() -> float:
    """Return the CPU time so far of this process and of its decoders. Linux numbers their clocks by process."""
    children = sum(time.clock_gettime(~process << 3 | 2) for process in decoder_processes())
    return time.process_time() + children


def decode_by_command(file: Path) -> float:
    """Return the CPU seconds of the whole process."""
    to_pcm = ["-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    quiet = ["-v", "error", "-nostdin", "-threads", "1"]
    ended = run([imageio_ffmpeg.get_ffmpeg_exe(), *quiet, "-i", str(file), "-vn", *to_pcm])
    check_minute(len(ended.output))
    return ended.cpu_seconds


def check_minute(size: int) -> None:
    """Raise RuntimeError if this number of bytes is not a minute of PCM. Encoders may add a little."""
    if abs(size / BYTES_PER_SECOND - MINUTE) > 0.5:
        raise RuntimeError(f"{size} bytes of sound are not a minute, so the times mean nothing")


def cutting() -> Row:
    say(f"  the cuts in {CUT_MINUTES} minutes, {PAIRS} times")
    pcm = talk(CUT_MINUTES * MINUTE).pcm
    figures = []
    for _ in range(PAIRS):
        started = time.process_time()
        clips = sum(1 for _ in cut(blocks(pcm)))
        figures.append(1000 * (time.process_time() - started) / CUT_MINUTES)
        if clips < CUT_MINUTES:  # a clip is shorter than a minute
            raise RuntimeError(f"{clips} clips are too few for {CUT_MINUTES} minutes")
    return Row("CPU to find the cuts, a minute", "–", f"{median(figures):.2f} ms", "", figures, "ms", 5)
