"""The price of decoding in processes of its own: time for a short file, and memory."""

import time
from collections.abc import Iterator

from bench.app_process import memory
from bench.children import Latency, python, speech_service
from bench.environment import Environment
from bench.recordings import coded
from bench.results import Row, milliseconds
from local.azurite import Azurite
from local.progress import say
from tests.support.recordings import decode as decode_by_decoder
from tests.support.recordings import decoder_processes, encode_as
from transcription.audio.decoding import DecodedRecording

PAIRS = 21
AT_ONCE = 16  # uploads, as the host has them
MINUTES = 10.0  # of each of them


def rows(azurite: Azurite) -> Iterator[Row]:
    yield short_file()
    yield own_memory()
    with speech_service(Latency(fixed=1.0, share=0.1)) as service, Environment.create(azurite, service) as environment:
        yield all_memory(environment)


def short_file() -> Row:
    content = encode_as("m4a")
    say(f"  a short m4a, {PAIRS} times each")
    decode_by_decoder(content)  # starts a decoder
    ours, theirs = [], []
    for _ in range(PAIRS):
        started = time.perf_counter()
        decode_by_decoder(content)
        ours.append(time.perf_counter() - started)
        started = time.perf_counter()
        decode_here(content)
        theirs.append(time.perf_counter() - started)
    return Row(
        "short m4a: time beyond decoding it in the app's process",
        "decoding in the app's process",
        milliseconds(ours),
        milliseconds(theirs),
        [1000 * (mine - other) for mine, other in zip(ours, theirs, strict=True)],
        "ms",
        40,
    )


def decode_here(content: bytes) -> None:
    for _ in DecodedRecording(lambda position, length: content[position : position + length], len(content)).blocks():
        pass


def own_memory() -> Row:
    """Measure what a decoder holds after a file, without what it shares with other processes."""
    decode_by_decoder(encode_as("m4a"))
    own = [memory(process, "Private_Clean:", "Private_Dirty:") / 1e6 for process in decoder_processes()]
    return Row("memory of a decoder's own", "nothing", f"{max(own):.0f} MB", "", [max(own)], "MB", 45)


def all_memory(environment: Environment) -> Row:
    say(f"  {AT_ONCE} recordings of {MINUTES:g} minutes at once")
    content = coded("m4a", MINUTES).read_bytes()
    names = [f"{number}.m4a" for number in range(AT_ONCE)]
    for name in names:
        environment.upload(name, content)
    peak = int(python("-m", "bench.app_process", *names, environment=environment.settings).output) / 1e6
    for name in names:
        environment.check(name)
    what = f"peak memory of the app with {AT_ONCE} decoders at work"
    return Row(what, "nothing", f"{peak:.0f} MB", "", [peak], "MB", 1200)
