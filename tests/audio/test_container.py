"""Supported files are opened. All others are refused soon, in little memory, and without opening any other file."""

import io
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.attack_files import MANY_PACKETS, ONE_PACKET, UNUSUAL_PAIRS
from tests.support.hostile_files import BOMBS, mov_with_samples_in, playlists
from tests.support.media_files import encode, tone
from tests.support.metering import Meter, MeteredDecoder
from tests.support.recordings import SPEECH, assert_speech, decode, encode_as, level, refusal
from tests.support.sound import murmur, wav
from transcription.audio import decoders as module
from transcription.audio.decoders import Decoders, GaveUp
from transcription.audio.recording import open_recording
from transcription.errors import UnsupportedAudio

NOT_SUPPORTED = "not a recording in a supported format"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Yield a server that a decoder would call if it followed an address in a file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def was_called(server: socket.socket) -> bool:
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return False
    connection.close()
    return True


def test_a_playlist_is_refused_and_its_addresses_are_not_called(server: socket.socket, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n".encode()
    assert NOT_SUPPORTED in refusal(playlist)
    assert not was_called(server)
    path = tmp_path / "a.m3u8"
    path.write_bytes(playlist)
    with pytest.raises((av.error.FFmpegError, OSError)):
        av.open(str(path), timeout=1, options={"protocol_whitelist": "file,http,tcp", "allowed_extensions": "ALL"})
    assert was_called(server), "a decoder without an allowlist follows this playlist"


@pytest.mark.parametrize("kind", playlists(Path()))
def test_a_file_that_refers_to_other_files_is_refused(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "target.wav"
    target.write_bytes(wav(murmur(1), rate=8000))
    assert NOT_SUPPORTED in refusal(playlists(target)[kind])


def test_a_mov_cannot_read_its_samples_from_another_file(tmp_path: Path) -> None:
    target = tmp_path / "target.raw"
    target.write_bytes(b"\x11\x22" * 4000)
    content = mov_with_samples_in(target)
    assert "nothing in it can be decoded" in refusal(content)
    movie = tmp_path / "movie.mov"
    movie.write_bytes(content)
    with av.open(str(movie), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        frame = next(container.decode(audio=0))
    assert bytes(frame.planes[0])[:4] == b"\x11\x22\x11\x22", "a decoder that follows references reads this file"


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_made_to_exhaust_us_is_refused_soon_and_takes_little_memory(kind: str) -> None:
    before = peak_megabytes()
    refusal(BOMBS[kind])
    assert peak_megabytes() - before < 10, "the decoder's own limit is in child.py"


@pytest.fixture(scope="module")
def metered() -> Iterator[Decoders]:
    with closing(Decoders(MeteredDecoder)) as decoders:
        yield decoders


def read(content: bytes, decoders: Decoders, meter: Meter) -> None:
    with closing(open_recording(io.BytesIO(content), len(content), decoders, meter)) as recording:
        for _ in recording.blocks():
            pass


@pytest.mark.parametrize("kind", ONE_PACKET)
def test_one_packet_takes_little_memory_whether_it_is_refused_or_read(kind: str, metered: Decoders) -> None:
    content = ONE_PACKET[kind]()
    meter = Meter()
    with suppress(UnsupportedAudio):
        read(content, metered, meter)
    assert meter.own_megabytes <= 20
    assert 0 < meter.decoder_megabytes <= 150


@pytest.mark.parametrize("kind", UNUSUAL_PAIRS)
def test_a_codec_in_a_container_that_nobody_uses_for_it_is_refused_before_it_is_decoded(kind: str) -> None:
    assert "which is not supported in matroska" in refusal(UNUSUAL_PAIRS[kind]())


@pytest.mark.parametrize("kind", MANY_PACKETS)
def test_a_packet_for_each_sample_is_more_than_the_decoder_may_take(
    kind: str, metered: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_CPU_SECONDS", 0.5)  # instead of three
    with pytest.raises(GaveUp, match=r"takes more (time|memory) than a recording should"):
        read(MANY_PACKETS[kind](), metered, Meter())


def peak_megabytes() -> float:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"This is a text file.\n" * 99,
        bytes(100_000),
        b"%PDF-1.4\n" + bytes(999),
        b"PK\3\4" + bytes(999),
        b"<html></html>" * 99,
        b"\xff\xfb" * 99_999,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(999),
    ],
    ids=["byte", "text", "zeros", "pdf", "zip", "html", "sync words", "png"],
)
def test_a_file_that_is_not_a_recording_is_refused(content: bytes) -> None:
    message = refusal(content)
    assert NOT_SUPPORTED in message
    assert "Supported formats are m4a, mp4, mp3, wav" in message


def test_a_video_without_sound_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24").reformat(format="yuv420p")
        output.mux(stream.encode(frame) + stream.encode(None))
    assert "has no audio" in refusal(file.getvalue())


def test_an_unsupported_codec_is_named_in_the_refusal() -> None:
    assert "wavpack, which is not supported in matroska" in refusal(encode(SPEECH, "matroska", "wavpack"))


def test_an_m4a_without_its_index_is_refused_with_the_reason() -> None:
    content = encode_as("m4a")
    assert "index cannot be read" in refusal(content[: len(content) * 6 // 10])


def test_an_mp4_with_its_index_at_the_start_is_supported(tmp_path: Path) -> None:
    path = tmp_path / "front.m4a"
    path.write_bytes(encode_as("m4a"))
    with av.open(str(path)) as source, av.open(str(tmp_path / "f.mp4"), "w", options={"movflags": "faststart"}) as copy:
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    content = (tmp_path / "f.mp4").read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")
    assert_speech(decode(content)[1])


def test_an_mp3_with_tags_and_a_picture_at_the_start_is_supported() -> None:
    picture = b"\0image/png\0\3\0" + b"\x89PNG\r\n\x1a\n" + bytes(200_000)
    frames = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    length = bytes((len(frames) >> shift) & 127 for shift in (21, 14, 7, 0))
    assert_speech(decode(b"ID3\3\0\0" + length + frames + encode_as("mp3"))[1])


def test_a_title_that_is_not_utf8_does_no_harm() -> None:
    content = encode(SPEECH, "ipod", "aac", rate=44100, metadata={"title": "Wetterbericht"})
    assert_speech(decode(content.replace(b"Wetterbericht", b"W\xe4tt\xffrbericht"))[1])


@pytest.mark.parametrize("channels", [17, 255])
def test_too_many_channels_are_refused(channels: int) -> None:
    assert f"{channels} channels" in refusal(wav(bytes(100_000), channels=channels))


@pytest.mark.parametrize("rate", [4_000, 384_000])
def test_sample_rates_of_old_recorders_and_of_studios_are_supported(rate: int) -> None:
    _, samples = decode(wav(tone(1, 440, rate).astype(np.int16).tobytes(), rate=rate))
    assert np.allclose(samples[2000:-2000], tone(1)[2000:-2000], atol=100)


@pytest.mark.parametrize("rate", [1, 3_999, 384_001, 0x7FFFFFFF, 0])
def test_absurd_sample_rates_are_refused(rate: int) -> None:
    refusal(wav(bytes(100_000), rate=rate))


@pytest.mark.parametrize("labels", [(1, 1), (2, 1), (3, 35), (0x10000, 0x10005)])
def test_a_custom_channel_layout_does_no_harm(labels: tuple[int, int]) -> None:
    content = encode([SPEECH, SPEECH], "caf", "pcm_s16le")
    position = content.index(b"chan")
    names = b"".join(struct.pack(">II3f", label, 0, 0, 0, 0) for label in labels)
    description = b"chan" + struct.pack(">QIII", 12 + len(names), 0, 0, 2) + names
    for _ in range(3):
        assert_speech(decode(content[:position] + description + content[position + 24 :])[1])


def test_a_custom_channel_layout_that_appears_while_decoding_does_no_harm() -> None:
    unmapped = {"mapping_family": "255"}
    content = encode([tone(1)] * 6, "webm", "libopus", rate=48000, layout="6 channels", codec_options=unmapped)
    family = content.index(b"OpusHead") + 18
    ambisonic = content[:family] + b"\2" + content[family + 1 :]  # four ambisonic channels and two others
    for _ in range(3):
        assert level(decode(ambisonic)[1]) == pytest.approx(level(tone(1)), rel=0.05)
