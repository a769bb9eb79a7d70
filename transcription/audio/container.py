"""An upload → its audio stream, ready to be decoded; or why not.

The upload may be anything, made by anyone. So containers and codecs are listed: some that FFmpeg knows open other
files and URLs, some are hardly ever tried. Video is never decoded. Limits are on what the file makes us do, not on
what it says about itself.
"""

import io
from typing import Any, BinaryIO

import av
from av import AudioFrame, AudioLayout, AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard

from transcription.audio.guarded_file import GuardedFile
from transcription.errors import UnsupportedAudio

# FFmpeg's names of its demuxers; one name of several is enough.
_CONTAINERS = "aac aiff amr asf au avi caf dss flac flv matroska mov mp3 mpeg mpegts ogg voc w64 wav"

# FFmpeg's names of its decoders, which for some codecs are two.
_CODECS = """
    aac aac_latm ac3 alac amrnb amrwb dss_sp eac3 flac g722 g723_1 g726 g726le g729 gsm gsm_ms libopus
    mp1 mp1float mp2 mp2float mp3 mp3float nellymoser opus qcelp speex truespeech vorbis
    wmalossless wmapro wmav1 wmav2 wmavoice
    adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha
    pcm_alaw pcm_mulaw pcm_f32be pcm_f32le pcm_f64be pcm_f64le pcm_s8 pcm_s8_planar pcm_u8
    pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be pcm_s24le pcm_s24le_planar
    pcm_s32be pcm_s32le pcm_s32le_planar pcm_s64be pcm_s64le
    pcm_u16be pcm_u16le pcm_u24be pcm_u24le pcm_u32be pcm_u32le pcm_bluray pcm_dvd
"""
CONTAINERS = frozenset(_CONTAINERS.split())
CODECS = frozenset(_CODECS.split())

SAMPLE_RATES = range(4_000, 384_001)  # Hz; from old voice recorders to studio converters
MOST_CHANNELS = 16  # a conference room's microphones, or third-order ambisonics
MOST_STREAMS = 32  # video with dubbing and subtitles has a dozen or two
PROBE_BYTES = 4 << 20  # looked at to find out what is in the file
READ_BYTES = 64 << 10

_OPTIONS = {
    "format_whitelist": ",".join(sorted(CONTAINERS)),
    "codec_whitelist": ",".join(sorted(CODECS)),
    "protocol_whitelist": "none",
    "enable_drefs": "0",  # what another file holds, said a mov file
    "max_streams": str(MOST_STREAMS),
    "probesize": str(PROBE_BYTES),
    "fflags": "+ignidx",  # nobody seeks, and an MP4 file in fragments would be read to its end for an index
}
_OLD_PYAV = int(av.__version__.split(".")[0]) < 19  # the newest for Python 3.11 is 18
_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if _OLD_PYAV else {}  # which newer ones do by themselves
_KEPT: list[AudioLayout] = []
_TAKEN = "Taken are m4a, mp4, mp3, wav, webm, ogg, flac, amr, aiff, wma and other common recordings."
HINT = "Play it on a computer; if it plays, export it as m4a, mp3 or wav and upload that."
_TOO_MUCH = f"The file's header or index is too large to be a recording's. {HINT}"


def open_stream(guarded: GuardedFile) -> tuple[InputContainer, AudioStream]:
    """The caller closes the container. UnsupportedAudio: no recording of a kind that is taken."""
    container = _open(guarded)
    try:
        guarded.check()
        if guarded.exceeded:
            raise UnsupportedAudio(_TOO_MUCH)
        stream = _audio_stream(container)
        _forget_custom_layout(stream)
        check_sound(stream.codec_context.sample_rate, stream.codec_context.layout.nb_channels)
        _open_decoder(stream)
    except BaseException:
        container.close()
        raise
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return container, stream


def _open(guarded: GuardedFile) -> InputContainer:
    try:
        with guarded.at_work():
            container: InputContainer = av.open(
                guarded, "r", options=_OPTIONS, buffer_size=READ_BYTES, io_open=_open_nothing, **_METADATA
            )
            return container
    except (FFmpegError, ValueError) as error:
        guarded.check()
        if guarded.exceeded:
            raise UnsupportedAudio(_TOO_MUCH) from error
        if guarded.head[4:8] == b"ftyp":
            raise UnsupportedAudio(
                "This MP4 file is damaged or ends too early: its index cannot be read. The recorder or the upload may "
                f"have been interrupted; upload it again, or repair it. {HINT}"
            ) from error
        raise UnsupportedAudio(
            f"This is no recording in a format that is taken, or its beginning is damaged. {_TAKEN} {HINT}"
        ) from error


def _open_nothing(url: str, flags: int, options: dict[str, str]) -> BinaryIO:  # noqa: ARG001
    """In place of what a file refers to. No container in the list gets here; should one, it finds nothing."""
    return io.BytesIO()


def _audio_stream(container: InputContainer) -> AudioStream:
    """The one that a player would choose, if we can decode it; else the first that we can."""
    streams = container.streams.audio
    if not streams:
        raise UnsupportedAudio("The file has no audio. Upload one with a sound track.")
    best = container.streams.best("audio")
    for stream in sorted(streams, key=lambda stream: stream is not best):
        if stream.codec_context and stream.codec_context.codec.name in CODECS:
            return stream
    first = streams[0].codec_context
    codec = f"in {first.codec.canonical_name}" if first else "in an unknown or protected form"
    raise UnsupportedAudio(f"The file's audio is {codec}, which is not taken. {HINT}")


def _open_decoder(stream: AudioStream) -> None:
    context = stream.codec_context
    context.thread_count = 1  # sound is not worth the threads that video is
    try:
        context.open(strict=False)
    except (FFmpegError, ValueError) as error:
        raise UnsupportedAudio(f"The recording is damaged: its header makes no sense. {HINT}") from error


def check_sound(rate: int, channels: int) -> None:
    """UnsupportedAudio: nothing that anybody records. 0 means that the decoder has yet to find out."""
    if rate and rate not in SAMPLE_RATES:
        raise UnsupportedAudio(f"The recording has {rate} samples a second, which is not taken. {HINT}")
    if channels > MOST_CHANNELS:
        raise UnsupportedAudio(
            f"The recording has {channels} channels; at most {MOST_CHANNELS} are taken. Mix it down and upload that."
        )


def is_usable(frame: AudioFrame) -> bool:
    """Whether it has sound of a kind that is taken; what a file says at its beginning need not hold to its end."""
    if _OLD_PYAV and _is_custom(frame.layout):
        _KEPT.append(frame.layout)  # for ever: see _forget_custom_layout
    return frame.samples > 0 and frame.sample_rate in SAMPLE_RATES and frame.layout.nb_channels <= MOST_CHANNELS


def _is_custom(layout: AudioLayout) -> bool:
    """Whether it may be an order of channels of the file's own, like "2 channels (FL+FL)" or "ambisonic 1+stereo"."""
    return " channels (" in layout.name or "+" in layout.name


def _forget_custom_layout(stream: AudioStream) -> None:
    """Leaves the number of channels only.

    PyAV before 19 (the newest for Python 3.11 is 18) frees such a layout with each AudioLayout object that was read of
    it, and FFmpeg frees it once more, which ends the process: https://github.com/PyAV-Org/PyAV/pull/2284. Here it
    passes to the one object, and is freed with that.
    """
    context = stream.codec_context
    layout = context.layout
    if _is_custom(layout):
        context.layout = f"{layout.nb_channels} channels"
