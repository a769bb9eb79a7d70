"""Decodes any supported format to 16 kHz mono samples on the recording's own clock.

PyAV does the work: it has FFmpeg's libraries in a wheel, so no program has to be installed. It also skips the padding
that encoders add. What remains is to keep the clock. Silence replaces damaged packets and what timestamps skip, since a
player would play what follows at that later time too.
"""

from collections.abc import Generator, Iterator

from av import AudioFrame, AudioStream, Packet
from av.container import InputContainer
from av.error import FFmpegError

from transcription.audio import asf, wav
from transcription.audio.container import HINT, is_supported, kind, open_stream
from transcription.audio.damage import Damage
from transcription.audio.formats import MAX_PACKET_BYTES
from transcription.audio.messages import End, Format
from transcription.audio.mixing import Converter, silence
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.source_file import ReadAt, SourceFile
from transcription.audio.timeline import Timeline
from transcription.errors import UnsupportedAudio

MOST_LOSSES = 2_000  # packets in a row that cannot be decoded; about 40 s
MOST_RESTARTS = 10  # of reading packets, where the container itself is damaged

# Containers that declare a length to rely on. For others, libav estimates it from the size and the bit rate, which the
# header may give wrongly.
STREAM_LENGTH_DECLARED = {"aiff", "caf", "flac", "mov"}
FILE_LENGTH_DECLARED = {"flv", "matroska"}  # it is the audio's unless there is video

STARTS_AT_ZERO = {"mov"}  # even if the first sound comes later; in other containers the clock may start anywhere
ENDS_WITH_AUDIO = {"aac", "amr", "ogg"}  # nothing follows the last packet, so unread bytes mean damage
MOST_UNREAD_BYTES = 80 << 10  # at the end of such a file; an OGG page has at most 64 KiB

TOO_COSTLY = "the file takes more time or memory than a recording should"


class DecodedRecording:
    """A recording in a decoder process. `RemoteRecording` is the app's side of it.

    format: see `Recording`.
    end: what could not be decoded, once `blocks` has ended.

    Raises UnsupportedAudio if the file is not a recording in a supported format.
    """

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self._read_at, self._size = read_at, size
        self._file = SourceFile(read_at, size)
        self._container, self._stream = open_stream(self._file)
        self._kind = kind(self._container)
        start = 0.0 if self._kind in STARTS_AT_ZERO else _seconds(self._container.start_time)
        # A length that libav may have estimated. That is good enough to recognise absurd timestamps.
        estimated = None if self._file.fragmented else _seconds(self._container.duration)
        self._declared = self._declared_seconds(start or 0.0)
        self.format = Format(_description(self._container, self._stream), self._declared or estimated)
        self.end = End(None, ())
        self._timeline = Timeline(start, estimated)
        self._damage = Damage()
        self._read_until = 0
        self._last_packet_corrupt = False

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield 16 kHz mono s16le samples in blocks of up to a second.

        Raises UnsupportedAudio if nothing can be decoded.
        """
        with self._container:
            for block in self._samples():
                self._timeline.emitted += len(block) // SAMPLE_BYTES
                yield block
        self._report_damage()

    def _report_damage(self) -> None:
        if self._file.exceeded:
            self._damage.stop(self._timeline.position, TOO_COSTLY)
        elif self._ends_too_early():
            self._damage.stop(self._timeline.position)
        emitted = self._timeline.emitted
        self.end = End(*self._damage.report(emitted / SAMPLE_RATE, self._declared))
        if not emitted and (self.end.damage or self._damage.ongoing or self._declared):
            raise UnsupportedAudio(f"The recording is damaged: nothing in it can be decoded. {HINT}")

    def _samples(self) -> Generator[bytes, None, None]:
        """Yield samples of the frames, with silence for what the timestamps skip."""
        converter: Converter | None = None
        for frame in self._frames():
            seconds = frame.samples / frame.sample_rate
            pause = self._timeline.pause_before(frame, after_damage=self._damage.ongoing)
            try:
                if converter and (pause or not converter.accepts(frame)):
                    yield from converter.convert(None)
                    converter = None
                yield from silence(self._timeline.samples_until(pause))
                converter = converter or Converter(frame)
                yield from converter.convert(frame)
            except MemoryError:  # one of FFmpegError, too
                raise
            except (FFmpegError, ValueError):  # libav cannot convert what it decoded
                self._damage.lose(self._timeline.position, seconds)
            else:
                self._damage.recover(pause)
            self._timeline.advance(pause + seconds)
        if converter:
            yield from converter.convert(None)

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield the frames that can be decoded and hold sound."""
        for packet in self._packets():
            position = self._timeline.position
            if self._damage.losses_in_a_row > MOST_LOSSES or self._file.exceeded:
                self._damage.stop(position)
                return
            self._file.begin_packet()
            if packet and packet.size > MAX_PACKET_BYTES:
                self._damage.lose(position, _packet_seconds(packet))
                continue
            try:
                frames = self._stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except (FFmpegError, ValueError):
                self._damage.lose(position, _packet_seconds(packet))
                continue
            supported = [frame for frame in frames if is_supported(frame)]
            if len(supported) < len(frames):
                self._damage.lose(position, _packet_seconds(packet))
            yield from supported

    def _packets(self) -> Iterator["Packet[AudioStream] | None"]:
        """Yield the stream's packets, and then an empty one that flushes the decoder."""
        flush = None
        for _ in range(MOST_RESTARTS):
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        self._read_until, self._last_packet_corrupt = packet.pos or 0, packet.is_corrupt
                        yield packet
                    else:  # it would end decoding, but a file may have one in the middle
                        flush = packet
                break
            except MemoryError:
                raise
            except FFmpegError:
                self._damage.lose(self._timeline.position, 0.0)
            except IndexError:  # PyAV before 19, after the last packet, if streams were added while reading
                break
        else:
            self._damage.stop(self._timeline.position)
        yield flush

    def _ends_too_early(self) -> bool:
        unread = self._size - self._read_until
        cut_mov = self._kind == "mov" and self._last_packet_corrupt
        return cut_mov or (self._kind in ENDS_WITH_AUDIO and unread > MOST_UNREAD_BYTES)

    def _declared_seconds(self, start: float) -> float | None:
        """Return the length of the audio if the container declares one to rely on."""
        if self._file.fragmented:
            return None
        stream = self._stream
        if self._kind == "wav":
            return wav.declared_seconds(SourceFile(self._read_at, self._size), self._size)
        audio_only = all(other.type == "audio" for other in self._container.streams)
        if self._kind == "asf" and audio_only:
            return asf.declared_seconds(SourceFile(self._read_at, self._size))
        tagged = self._kind == "mp3" and start > 0  # the encoder's tag holds both the padding and the length
        # libav leaves the stream's length open where the file declares one, and estimates both where it does not.
        file_declares = self._kind in FILE_LENGTH_DECLARED and stream.duration is None
        if (file_declares and audio_only) or tagged:
            return _seconds(self._container.duration)
        if self._kind not in STREAM_LENGTH_DECLARED or not stream.duration or not stream.time_base:
            return None
        return (stream.duration + (stream.start_time or 0)) * float(stream.time_base) - start


def _description(container: InputContainer, stream: AudioStream) -> str:
    """Return the format in words, such as "mov,mp4 / aac, 44100 Hz, 2 channels"."""
    names = container.format.name.split(",")[:2]
    context, channels = stream.codec_context, stream.codec_context.layout.nb_channels
    plural = "" if channels == 1 else "s"
    return f"{','.join(names)} / {context.codec.canonical_name}, {context.sample_rate} Hz, {channels} channel{plural}"


def _packet_seconds(packet: "Packet[AudioStream] | None") -> float:
    """Return the packet's declared duration, or 0."""
    return packet.duration * float(packet.time_base) if packet and packet.duration and packet.time_base else 0.0


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000_000
