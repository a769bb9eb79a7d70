"""Opens a recording of any supported format and streams it as 16 kHz mono PCM."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from transcription.audio.wav import open_wav


class Recording(Protocol):
    """An opened recording.

    format: a description for the document, such as "mov,mp4 / aac, 44100 Hz, 2 channels".
    duration: the seconds that the file declares, or None. The file may lie, so nothing may depend on it.
    damage: a description of what `blocks` could not decode, once it has ended; None if it decoded everything.
    gaps: the same as (start, duration) in seconds. A duration of 0 means that the missing length is unknown.
    """

    format: str
    duration: float | None
    damage: str | None
    gaps: tuple[tuple[float, float], ...]

    def blocks(self) -> Iterator[bytes]:
        """Yield 16 kHz mono s16le samples in blocks of any size. Can be iterated once.

        If the file is damaged, the samples hold silence or end early, and `damage` says so. To stop early, close
        the iterator or the recording. Errors from reading the file pass through unchanged.
        Raises UnsupportedAudio if nothing can be decoded.
        """

    def close(self) -> None:
        """Release the decoder. The end of `blocks` does so too. The file stays open."""


def open_recording(file: BinaryIO, size: int) -> Recording:
    """Open the audio in a seekable file of `size` bytes. Its content decides the format, never its name.

    Errors from reading the file pass through unchanged.
    Raises UnsupportedAudio if there is no audio, or none in a supported format.
    """
    if wav := open_wav(file, size):
        return wav
    from transcription.audio.decoding import open_media  # 50 to 200 ms that plain WAV does not need

    return open_media(file, size)
