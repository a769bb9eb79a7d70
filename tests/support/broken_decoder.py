"""A decoder process in which decoding goes wrong after the first block of samples, as a file could make it."""

import os
import time
from collections.abc import Callable, Iterator, Mapping

from transcription.audio import child, decoding
from transcription.audio.decoders import PROGRAM, Decoder, Decoders


def allocate() -> None:
    bytearray(4 << 30)


def loop() -> None:
    while True:
        pass


def fail() -> None:
    raise RuntimeError("a mistake in our own code")


def open_instead() -> None:
    """Close a file, to open another one in its place."""
    os.close(1)
    os.open("/proc/self/environ", os.O_RDONLY)


WAYS: Mapping[str, Callable[[], object]] = {
    "abort": os.abort,
    "loop": loop,
    "allocate 4 GB": allocate,
    "fail": fail,
    "sleep": lambda: time.sleep(3600),
    "open a file": lambda: open("/etc/hostname").close(),  # noqa: PTH123  # the plain call
    "open a file instead of the output": open_instead,
    "open a socket": lambda: __import__("socket").socket(),
}


def main(way: str) -> None:
    decoded = decoding.DecodedRecording.blocks

    def blocks(recording: decoding.DecodedRecording) -> Iterator[bytes]:
        for block in decoded(recording):
            yield block
            WAYS[way]()

    decoding.DecodedRecording.blocks = blocks  # type: ignore[method-assign,assignment]
    child.main()


def broken_decoders(way: str) -> Decoders:
    """Return decoders that all break in this way."""
    run = f"from tests.support import broken_decoder; broken_decoder.main({way!r})"
    return Decoders(lambda: Decoder(PROGRAM.replace("from transcription.audio import child; child.main()", run)))
