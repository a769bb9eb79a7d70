"""A stream of audio packets of any kind → 16 kHz mono samples on the recording's own clock.

PyAV decodes: FFmpeg's libraries in a wheel, without a program to install. It skips what encoders add at the ends. What
is left to do is to keep the clock: where timestamps leave a gap, or a packet is damaged, silence takes its place, since
a player would show everything after it at that later time too.
"""

from collections.abc import Generator, Iterator
from typing import BinaryIO

from av import AudioFrame, AudioStream, Packet
from av.error import FFmpegError

from transcription.audio.container import HINT, is_usable, open_stream
from transcription.audio.damage import Damage
from transcription.audio.guarded_file import GuardedFile
from transcription.audio.mixing import Converter, silence
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.timeline import Timeline
from transcription.audio.wav import declared_seconds
from transcription.errors import UnsupportedAudio

MOST_FAILURES = 2_000  # packets in a row that nothing came of: about 40 s
MOST_RESTARTS = 10  # of reading packets where the container itself is damaged

# Containers that know how long each stream is; how long they are as a whole, which is the same without pictures.
# Others guess by the bit rate, or leave it to who recorded.
STREAMS_DECLARE = {"aiff", "caf", "flac", "mov", "w64"}
FILES_DECLARE = {"asf", "avi", "flv", "matroska"}

# Containers with nothing behind their last packet, so that what is there must be damaged.
END_WITH_AUDIO = {"aac", "amr", "ogg"}
UNREAD_BYTES = 80 << 10  # of such a file are too many: an OGG page has at most 64 KiB

# Containers whose clock starts at 0, whenever the first sound is; in others it may start anywhere.
START_AT_ZERO = {"mov"}


def open_media(file: BinaryIO, size: int) -> "DecodedRecording":
    """UnsupportedAudio: no recording of a kind that is taken. What reading `file` raised comes through as it was."""
    return DecodedRecording(GuardedFile(file, size), size, declared_seconds(file, size))


class DecodedRecording:
    """A Recording that has to be decoded."""

    def __init__(self, file: GuardedFile, size: int, wav_seconds: float | None) -> None:
        self._file, self._size = file, size
        self._container, self._stream = open_stream(file)
        codec, channels = self._stream.codec_context, self._stream.codec_context.layout.nb_channels
        names = self._container.format.name.split(",")
        self._kind = names[0]
        self.format = (
            f"{','.join(names[:2])} / {codec.codec.canonical_name}, {codec.sample_rate} Hz, "
            f"{channels} channel{'s' if channels != 1 else ''}"
        )
        about = None if file.fragmented else _microseconds(self._container.duration)  # some containers only guess
        self.damage: str | None = None
        self.lost: tuple[tuple[float, float], ...] = ()
        start = 0.0 if self._kind in START_AT_ZERO else _microseconds(self._container.start_time)
        self._expected = wav_seconds or self._declared_seconds(start or 0.0)
        self.duration = self._expected
        self._clock = Timeline(start, about)
        self._damage = Damage()
        self._read_until, self._cut = 0, False

    def close(self) -> None:
        self._container.close()

    def blocks(self) -> Generator[bytes, None, None]:
        """See Recording. Blocks are of up to a second."""
        blocks = self._blocks()
        try:
            while True:
                with self._file.at_work():
                    block = next(blocks, None)
                if block is None:
                    break
                self._clock.emitted += len(block) // SAMPLE_BYTES
                yield block
        finally:
            blocks.close()
            self.close()
        if self._file.exceeded:
            self._damage.stop(self._clock.now, "the file takes more time or memory than sound does")
        elif self._ends_too_early():
            self._damage.stop(self._clock.now)
        end = self._clock.emitted / SAMPLE_RATE
        self.damage = self._damage.told(end, self._expected)
        self.lost = self._damage.stretches(end, self._expected)
        if self._clock.emitted == 0 and (self.damage or self._damage.now or self._expected):
            raise UnsupportedAudio(f"The recording is damaged: nothing in it can be decoded. {HINT}")

    def _blocks(self) -> Generator[bytes, None, None]:
        converter: Converter | None = None
        for frame in self._frames():
            pause = self._clock.pause_before(frame, exact=self._damage.now)
            try:
                if converter and (pause or not converter.takes(frame)):
                    yield from converter.convert(None)
                    converter = None
                yield from silence(self._clock.samples_until(pause))
                converter = converter or Converter(frame)
                yield from converter.convert(frame)
            except (FFmpegError, ValueError):  # libav cannot convert what it decoded
                self._damage.lost(self._clock.now, frame.samples / frame.sample_rate)
            else:
                self._damage.resumed()
            self._clock.advance(pause + frame.samples / frame.sample_rate)
        if converter:
            yield from converter.convert(None)

    def _frames(self) -> Iterator[AudioFrame]:
        """What can be decoded and is sound."""
        for packet in self._packets():
            if self._damage.in_a_row > MOST_FAILURES or not self._file.next_step(self._clock.now):
                self._damage.stop(self._clock.now)
                return
            try:
                frames = self._stream.codec_context.decode(packet)
            except (FFmpegError, ValueError):
                self._damage.lost(self._clock.now, _duration(packet))
                continue
            usable = [frame for frame in frames if is_usable(frame)]
            if len(usable) < len(frames):
                self._damage.lost(self._clock.now, _duration(packet))
            yield from usable

    def _packets(self) -> Iterator["Packet[AudioStream] | None"]:
        """Each packet of the stream that holds something, then an empty one to have the decoder's rest."""
        end = None
        for _ in range(MOST_RESTARTS):
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        self._read_until, self._cut = packet.pos or 0, packet.is_corrupt
                        yield packet
                    else:  # means the end to a decoder, also if a file has it in its midst
                        end = packet
                break
            except FFmpegError:
                self._damage.lost(self._clock.now, 0.0)
            except IndexError:  # PyAV before 19, behind the last packet, where streams turned up on the way
                break
            finally:
                self._file.check()
        else:
            self._damage.stop(self._clock.now)
        yield end

    def _ends_too_early(self) -> bool:
        unread = self._size - self._read_until
        return (self._kind == "mov" and self._cut) or (self._kind in END_WITH_AUDIO and unread > UNREAD_BYTES)

    def _declared_seconds(self, start: float) -> float | None:
        """Where the audio ends as the file has it, if it is one that knows."""
        if self._file.fragmented:
            return None
        stream, sound_only = self._stream, all(stream.type == "audio" for stream in self._container.streams)
        tagged = self._kind == "mp3" and start > 0  # by the encoder: then its length is in the same tag
        if (self._kind in FILES_DECLARE and sound_only) or tagged:
            return _microseconds(self._container.duration)
        if self._kind not in STREAMS_DECLARE or not stream.duration or not stream.time_base:
            return None
        return (stream.duration + (stream.start_time or 0)) * float(stream.time_base) - start


def _duration(packet: "Packet[AudioStream] | None") -> float:
    """Seconds, as far as the packet says."""
    return packet.duration * float(packet.time_base) if packet and packet.duration and packet.time_base else 0.0


def _microseconds(value: int | None) -> float | None:
    return None if value is None else value / 1_000_000
