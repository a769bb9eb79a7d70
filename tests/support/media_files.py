"""Sounds for tests, and the files that hold them, made with FFmpeg's encoders and muxers through PyAV."""

import io
import struct
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from transcription.audio.pcm import SAMPLE_RATE

MEDIA = Path(__file__).parent.parent / "media"


def speech() -> np.ndarray:
    """Return three seconds of a voice as float samples at 16 kHz."""
    with wave.open(str(MEDIA / "weather.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)


def tone(seconds: float, hertz: float = 440.0, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Return a sine wave as float samples."""
    return 8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def encode(
    sound: np.ndarray | Sequence[np.ndarray],
    container: str,
    codec: str,
    *,
    rate: int = SAMPLE_RATE,
    layout: str | None = None,
    sample_format: str | None = None,
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    pauses: dict[float, float] | None = None,
    metadata: dict[str, str] | None = None,
    video: str | None = None,
) -> bytes:
    """Return a file that holds `sound` (16 kHz; one array, or one for each channel).

    pauses: jumps of the timestamps. Each key is a time in seconds, each value the length of the jump there.
    video: a codec. The file then has a few pictures too.
    """
    channels = np.atleast_2d(np.asarray(sound))
    layout = layout or {1: "mono", 2: "stereo", 6: "5.1"}.get(len(channels), f"{len(channels)} channels")
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        output.metadata.update(metadata or {})
        stream: Any = output.add_stream(codec, rate=rate, layout=layout, options=codec_options or {})
        if sample_format:
            stream.codec_context.format = sample_format
        if bit_rate:
            stream.codec_context.bit_rate = bit_rate
        pictures = _pictures(output, video) if video else None
        for packet in _packets(stream, channels, layout, rate, pauses or {}):
            output.mux(packet)
        if pictures:
            output.mux(pictures())
    return file.getvalue()


def _packets(stream: Any, channels: np.ndarray, layout: str, rate: int, pauses: dict[float, float]) -> Any:
    context = stream.codec_context
    context.open()
    frame_size = context.frame_size or 1024
    resampler = AudioResampler(context.format.name, layout, rate, frame_size)
    source = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(channels.T.reshape(1, -1).clip(-32768, 32767).astype(np.int16)), "s16", layout
    )
    source.sample_rate = SAMPLE_RATE
    source.time_base = Fraction(1, SAMPLE_RATE)
    source.pts = 0
    position = 0
    for frame in [*resampler.resample(source), *resampler.resample(None)]:
        skipped = sum(length for after, length in pauses.items() if position / rate >= after)
        frame.pts, frame.time_base = position + round(skipped * rate), Fraction(1, rate)
        position += frame.samples
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _pictures(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec, rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"

    def packets() -> list[Any]:
        encoded = []
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 8 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            encoded += stream.encode(frame.reformat(format="yuv420p"))
        return [*encoded, *stream.encode(None)]

    return packets


def box(name: bytes, *content: bytes) -> bytes:
    """Return an MP4 box."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def file_box(name: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return an MP4 box that begins with a version and flags."""
    return box(name, struct.pack(">I", version << 24 | flags), *content)


def mp4(
    *,
    samples: int = 10,
    sample_bytes: int = 400,
    duration: int = 1024,
    chunk_offset: int | None = None,
    references: bytes = b"",
    codec: bytes = b"mp4a",
    sound: bytes = bytes(4000),
    tracks: int = 1,
    more: bytes = b"",
) -> bytes:
    """Return an MP4 file made box by box, for files that no muxer writes. All samples are in one chunk.

    duration: of each sample, in units of the clock.
    references: the data references.
    more: boxes to add to moov.
    """
    start = box(b"ftyp", b"M4A \0\0\0\0M4A isom") + box(b"mdat", sound)
    description = bytes.fromhex("031900000004114015000000000000000000000005021208060102")
    entry = box(
        codec,
        struct.pack(">6xH8xHHHHI", 1, 1, 16, 0, 0, 44100 << 16),
        file_box(b"esds", description) if codec == b"mp4a" else b"",
    )
    offset = len(start) - len(sound) if chunk_offset is None else chunk_offset
    table = box(
        b"stbl",
        file_box(b"stsd", struct.pack(">I", 1), entry),
        file_box(b"stts", struct.pack(">III", 1, samples, duration)),
        file_box(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        file_box(b"stsz", struct.pack(">II", sample_bytes, samples)),
        file_box(b"stco", struct.pack(">II", 1, offset)),
    )
    references = references or file_box(b"url ", flags=1)
    data = box(b"dinf", file_box(b"dref", struct.pack(">I", 1), references))
    media = box(
        b"mdia",
        file_box(b"mdhd", struct.pack(">8xIIHH", 44100, 10240, 0x55C4, 0)),
        file_box(b"hdlr", b"\0\0\0\0soun", bytes(13)),
        box(b"minf", file_box(b"smhd", bytes(4)), data, table),
    )
    track = [
        box(b"trak", file_box(b"tkhd", struct.pack(">8xI4xI60x", number + 1, 1000), flags=3), media)
        for number in range(tracks)
    ]
    movie = file_box(b"mvhd", struct.pack(">8xIIIH", 1000, 1000, 0x10000, 0x100), bytes(70), struct.pack(">I", 2))
    return start + box(b"moov", movie, *track, more)
