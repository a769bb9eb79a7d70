"""A recording that a decoder process decodes. The app reads the file for it, and takes its samples."""

import struct
from collections.abc import Callable, Generator
from contextlib import closing
from typing import BinaryIO, TypeVar

from transcription.audio import messages
from transcription.audio.decoders import Decoders, GaveUp
from transcription.audio.messages import End, Format
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.errors import UnsupportedAudio

NONSENSE = "its output makes no sense"

Parsed = TypeVar("Parsed")


class RemoteRecording:
    """A Recording that has to be decoded. Errors from reading the file pass through unchanged.

    Raises UnsupportedAudio if the file is not a recording in a supported format, or more than a decoder can cope with.
    Raises Misconfigured if there is no decoder.
    """

    def __init__(self, file: BinaryIO, size: int, decoders: Decoders, check: Callable[[], None]) -> None:
        """Open the file of `size` bytes. `check` is called while it is read, and may raise to end that."""
        self.damage: str | None = None
        self.gaps: tuple[tuple[float, float], ...] = ()
        self._file, self._size = file, size
        self._decoders, self._check = decoders, check
        self._open()

    def _open(self) -> None:
        self._decoding = self._decode()
        described = next(self._decoding)
        if not isinstance(described, Format):
            self.close()
            raise GaveUp(NONSENSE)
        self.format, self.duration = described.format, described.duration

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield samples in blocks of up to a second. See Recording."""
        with closing(self._decoding) as decoding:
            for decoded in decoding:
                if isinstance(decoded, bytes):
                    yield decoded
                elif isinstance(decoded, End):
                    self.damage, self.gaps = decoded.damage, decoded.gaps

    def exceeds(self, seconds: float) -> bool:
        """Tell whether the samples last longer than this. See Recording."""
        if (self.duration or 0.0) <= seconds:
            return False
        left = seconds * BYTES_PER_SECOND
        with closing(self.blocks()) as blocks:
            for block in blocks:
                left -= len(block)
                if left < 0:
                    return True
        self._open()
        return False

    def close(self) -> None:
        self._decoding.close()

    def _decode(self) -> Generator[Format | bytes | End, None, None]:
        """Yield the format, blocks of samples, and then the damage. Stopping early ends the decoder."""
        decoder = self._decoders.take()
        usable = False
        decoded_bytes = 0
        try:
            decoder.open(self._size, self._check)
            while True:
                kind, content = decoder.receive(decoded_bytes / BYTES_PER_SECOND, self._check)
                if kind == messages.SAMPLES:
                    decoded_bytes += len(content)
                    yield content
                elif kind == messages.NEED:
                    decoder.give(self._read(*_parsed(messages.range_in, content)))
                elif kind == messages.FORMAT:
                    self._decoders.keep_one_ready()
                    yield _parsed(Format.parse, content)
                elif kind == messages.REFUSED:
                    usable = True
                    raise UnsupportedAudio(content.decode(errors="replace"))
                else:
                    end = _parsed(End.parse, content)
                    usable = True
                    yield end
                    return
        finally:
            self._decoders.give_back(decoder, usable=usable)

    def _read(self, position: int, length: int) -> bytes:
        self._check()
        if position >= self._size:
            return b""
        self._file.seek(position)
        return self._file.read(length)


def _parsed(parse: Callable[[bytes], Parsed], content: bytes) -> Parsed:
    """Return what the decoder says. It is not trusted: it may run what a file has brought in."""
    try:
        return parse(content)
    except (LookupError, OverflowError, RecursionError, TypeError, ValueError, struct.error):
        raise GaveUp(NONSENSE) from None
