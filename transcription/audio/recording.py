"""Opens a recording of any supported format and streams it as 16 kHz mono PCM."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from transcription.audio.decoders import Decoders
from transcription.audio.remote import RemoteRecording
from transcription.audio.wav import open_wav
from transcription.errors import UnsupportedAudio

GZIP = b"\x1f\x8b\x08"  # the first bytes of what gzip has compressed


class Recording(Protocol):
    """An opened recording.

    format: a description for the document, such as "mov,mp4 / aac, 44100 Hz, 2 channels".
    duration: the seconds that the file declares or its size suggests, or None. A hint: the file may lie.
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
        Raises UnsupportedAudio if nothing can be decoded, or if decoding takes more than a recording should.
        """

    def exceeds(self, seconds: float) -> bool:
        """Tell whether the samples last longer than this. Call it before `blocks`. After True, the recording is closed.

        Only what can be decoded counts. So if `duration` is over the limit, the file is decoded up to the limit, which
        takes about 8 s of CPU time for two hours of AAC or FLAC. Returns False if `duration` is lower or unknown.
        Raises UnsupportedAudio if nothing can be decoded, or if decoding takes more than a recording should.
        """

    def close(self) -> None:
        """Release the decoder. The end of `blocks` does so too. The file stays open."""


def open_recording(file: BinaryIO, size: int, decoders: Decoders, check: Callable[[], None]) -> Recording:
    """Open the audio in a seekable file of `size` bytes. Its content decides the format, never its name.

    `check` is called while the file is decoded, and may raise to end that.

    Errors from reading the file pass through unchanged.
    Raises UnsupportedAudio if there is no audio, or none in a supported format.
    Raises Misconfigured if it has to be decoded, and no decoder can be started.
    """
    file.seek(0)
    if file.read(len(GZIP)) == GZIP:
        raise UnsupportedAudio("The file is compressed with gzip. Upload the recording uncompressed.")
    return open_wav(file, size) or RemoteRecording(file, size, decoders, check)
