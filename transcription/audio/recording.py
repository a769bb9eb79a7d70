"""A recording's bytes, of whatever format → 16 kHz mono 16-bit samples, flowing."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from transcription.audio.wav import open_wav


class Recording(Protocol):
    """`format` is in words for the document, as in "mov,mp4 / aac, 44100 Hz, 2 channels". `duration` is what the file
    declares, in seconds: forged or wrong as it may be, nothing may depend on it.
    """

    format: str
    duration: float | None
    damage: str | None
    """After blocks() has ended: what of the recording is missing in them; None where all was decoded."""
    lost: tuple[tuple[float, float], ...]
    """The same as stretches: start and duration in seconds, 0 where nobody knows how long."""

    def blocks(self) -> Iterator[bytes]:
        """16 kHz mono s16le samples, once, in pieces of any size.

        Where the file is damaged the pieces end early, or have silence in their midst, and `damage` says so.
        UnsupportedAudio: nothing of it could be decoded. Whatever reading the file raised comes through as it was.
        Whoever wants no more closes the iterator, or the recording.
        """

    def close(self) -> None:
        """Releases what decoding holds, which also the end of blocks() does. The file stays open."""


def open_recording(file: BinaryIO, size: int) -> Recording:
    """Finds the audio in a seekable `file` of `size` bytes; its content decides, never its name.

    UnsupportedAudio: there is none, or none that is taken. What reading the file raised comes through as it was.
    """
    if wav := open_wav(file, size):
        return wav
    from transcription.audio.decoding import open_media  # 50 to 200 ms that plain WAV does not need

    return open_media(file, size)
