"""Opens an upload's container and finds the audio stream to decode.

An upload may be anything, made by anyone. So only the pairs of container and codec in `formats.py` are read, and video
is never decoded.
"""

import io
from typing import Any, BinaryIO

import av
import av.subtitles.stream  # PyAV imports it with the first file, when a decoder process may open no more modules
from av import AudioFrame, AudioLayout, AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from transcription.audio.formats import CODECS, MAX_CHANNELS, MAX_RATE, MIN_RATE
from transcription.audio.messages import MOST_READ_BYTES
from transcription.audio.source_file import SourceFile
from transcription.errors import UnsupportedAudio

MAX_STREAMS = 32  # video with dubbing and subtitles has a dozen or two
PROBE_BYTES = 4 << 20  # read to find out what is in the file

OPTIONS = {
    "format_whitelist": ",".join(sorted(CODECS)),
    "codec_whitelist": ",".join(sorted(frozenset[str]().union(*CODECS.values()))),
    "protocol_whitelist": "none",
    "enable_drefs": "0",  # references of a mov file to samples in another file
    "max_streams": str(MAX_STREAMS),
    "probesize": str(PROBE_BYTES),
    "fflags": "+ignidx",  # we never seek, and libav would read a fragmented MP4 file to its end to build an index
}
OLD_PYAV = int(av.__version__.split(".")[0]) < 19  # the newest for Python 3.11 is 18
METADATA_OPTIONS: dict[str, Any] = {"metadata_errors": "replace"} if OLD_PYAV else {}  # the default in newer ones

SUPPORTED = "Supported formats are m4a, mp4, mp3, wav, webm, ogg, flac, amr, aiff, wma and other common ones."
HINT = "Play it on a computer. If it plays, export it as m4a, mp3 or wav and upload the result."
HEADER_TOO_LARGE = f"The file's header is too large for a recording. {HINT}"

_layouts_never_freed: list[AudioLayout] = []  # see _replace_custom_layout


def open_stream(file: SourceFile) -> tuple[InputContainer, AudioStream]:
    """Return the container and its audio stream, with an open decoder. The caller closes the container.

    Raises UnsupportedAudio if this is not a recording in a supported format.
    """
    container = _open_container(file)
    try:
        if file.exceeded:
            raise UnsupportedAudio(HEADER_TOO_LARGE)
        stream = _choose_stream(container)
        _replace_custom_layout(stream)
        _check_format(stream.codec_context.sample_rate, stream.codec_context.layout.nb_channels)
        _open_decoder(stream)
    except BaseException:
        container.close()
        raise
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return container, stream


def kind(container: InputContainer) -> str:
    """Return FFmpeg's name of the container, as in CODECS."""
    return next(name for name in container.format.name.split(",") if name in CODECS)


def is_supported(frame: AudioFrame) -> bool:
    """Tell whether a frame has sound in a supported format. The format may change within a file."""
    if OLD_PYAV and _is_custom(frame.layout):
        _layouts_never_freed.append(frame.layout)
    supported_rate = MIN_RATE <= frame.sample_rate <= MAX_RATE
    return frame.samples > 0 and supported_rate and frame.layout.nb_channels <= MAX_CHANNELS


def _open_container(file: SourceFile) -> InputContainer:
    try:
        container: InputContainer = av.open(
            file, "r", options=OPTIONS, buffer_size=MOST_READ_BYTES, io_open=_open_nothing, **METADATA_OPTIONS
        )
    except MemoryError:  # one of FFmpegError, too
        raise
    except (FFmpegError, ValueError) as error:
        if file.exceeded:
            raise UnsupportedAudio(HEADER_TOO_LARGE) from error
        if file.head[4:8] == b"ftyp":
            raise UnsupportedAudio(
                "This MP4 file is damaged or ends too early: its index cannot be read. The recorder or the upload may "
                f"have been interrupted. Upload it again, or repair it. {HINT}"
            ) from error
        raise UnsupportedAudio(
            f"This is not a recording in a supported format, or its beginning is damaged. {SUPPORTED} {HINT}"
        ) from error
    else:
        return container


def _open_nothing(url: str, flags: int, options: dict[str, str]) -> BinaryIO:  # noqa: ARG001
    """Return an empty file instead of one that the upload refers to. No allowlisted container asks for one."""
    return io.BytesIO()


def _choose_stream(container: InputContainer) -> AudioStream:
    """Return the stream that a player would choose, or else the first one with a supported codec."""
    streams = container.streams.audio
    if not streams:
        raise UnsupportedAudio("The file has no audio. Upload one that has an audio track.")
    best = container.streams.best("audio")
    codecs = CODECS[kind(container)]
    for stream in sorted(streams, key=lambda stream: stream is not best):
        if stream.codec_context and stream.codec_context.codec.name in codecs:
            return stream
    context = streams[0].codec_context
    if context is None:
        raise UnsupportedAudio(f"The file's audio is in an unknown or protected format. {HINT}")
    raise UnsupportedAudio(
        f"The file's audio is in {context.codec.canonical_name}, which is not supported in {kind(container)}. {HINT}"
    )


def _check_format(rate: int, channels: int) -> None:
    """Raise UnsupportedAudio if no real recording has this format. 0 means that only decoding will tell."""
    if rate and not MIN_RATE <= rate <= MAX_RATE:
        raise UnsupportedAudio(
            f"The recording has a sample rate of {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz are supported. {HINT}"
        )
    if channels > MAX_CHANNELS:
        raise UnsupportedAudio(
            f"The recording has {channels} channels; at most {MAX_CHANNELS} are supported. "
            "Mix it down to fewer channels and upload the result."
        )


def _open_decoder(stream: AudioStream) -> None:
    context = stream.codec_context
    context.thread_count = 1  # unlike video, audio gains nothing from more
    try:
        context.open(strict=False)
    except MemoryError:
        raise
    except (FFmpegError, ValueError) as error:
        raise UnsupportedAudio(f"The recording is damaged: its header is not valid. {HINT}") from error


def _is_custom(layout: AudioLayout) -> bool:
    """Tell whether a layout may be the file's own, such as "2 channels (FL+FL)" or "ambisonic 1+stereo"."""
    return " channels (" in layout.name or "+" in layout.name


def _replace_custom_layout(stream: AudioStream) -> None:
    """Replace a custom channel layout by the number of channels.

    PyAV before 19 frees such a layout with each AudioLayout object that was read from it, and FFmpeg frees it again,
    which kills the process: https://github.com/PyAV-Org/PyAV/pull/2284. Here the one object takes the layout over and
    frees it. A frame's layout cannot be replaced, so `is_supported` keeps its object for ever.
    """
    context = stream.codec_context
    layout = context.layout
    if _is_custom(layout):
        context.layout = f"{layout.nb_channels} channels"
