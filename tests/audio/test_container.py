"""Files made to do harm: refused soon, in little memory, and nothing opened that was not the upload."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.support.media_files import RATE, box, file_box, mp4
from tests.support.recordings import made, recorded, refused
from tests.support.sound import murmur, wav


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    """A socket where somebody would be heard who follows an address."""
    with socket.create_server(("127.0.0.1", 0)) as ear:
        ear.settimeout(0.2)
        yield ear


def called(ear: socket.socket) -> bool:
    try:
        connection, _ = ear.accept()
    except TimeoutError:
        return False
    connection.close()
    return True


def test_a_playlist_is_refused_and_its_addresses_are_not_called(ear: socket.socket, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{ear.getsockname()[1]}/a.ts"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{address}\n#EXT-X-ENDLIST\n".encode()
    assert "no recording in a format that is taken" in refused(playlist)
    assert not called(ear)
    path = tmp_path / "a.m3u8"
    path.write_bytes(playlist)
    with pytest.raises((av.error.FFmpegError, OSError)):
        av.open(str(path), timeout=1, options={"protocol_whitelist": "file,http,tcp", "allowed_extensions": "ALL"})
    assert called(ear), "the playlist is one that a decoder without bounds follows"


def playlists(target: Path) -> dict[str, bytes]:
    dash = (
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><BaseURL>{target}</BaseURL></Period></MPD>'
    )
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{target}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": b'<?xml version="1.0"?>' + dash.encode(),
        "ffmetadata": b";FFMETADATA1\ntitle=x\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n\n",
        "webvtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n",
        "imf": b'<?xml version="1.0"?><CompositionPlaylist></CompositionPlaylist>',
    }


@pytest.mark.parametrize("kind", playlists(Path()))
def test_what_leads_to_other_files_is_refused(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "target.wav"
    target.write_bytes(wav(murmur(1), rate=8000))
    assert "no recording in a format that is taken" in refused(playlists(target)[kind])


def test_a_mov_whose_samples_are_in_another_file_does_not_get_them(tmp_path: Path) -> None:
    target = tmp_path / "target.raw"
    target.write_bytes(b"\x11\x22" * 4000)
    path = str(target).encode() + b"\0" * (len(str(target)) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\0\0"
    content = mp4(
        codec=b"sowt",
        samples=4000,
        sample_bytes=2,
        each=1,
        chunk_offset=0,
        sound=b"",
        references=file_box(b"alis", alias),
    )
    assert "nothing in it can be decoded" in refused(content)
    movie = tmp_path / "movie.mov"
    movie.write_bytes(content)
    with av.open(str(movie), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        frame = next(container.decode(audio=0))
    assert bytes(frame.planes[0])[:4] == b"\x11\x22\x11\x22", "the file is one that a decoder without bounds follows"


def fragments(samples: int) -> bytes:
    """An MP4 whose first fragment says that it has so many samples, all of the same size."""
    content = made("mp4 in fragments")
    position = content.index(b"trun") + 4
    return content[:position] + struct.pack(">III", 1, samples, 100) + content[position + 12 :]


def ogg_streams(count: int) -> bytes:
    head = b"OpusHead\1\1" + struct.pack("<HIhB", 312, 48000, 0, 0)
    return b"".join(
        b"OggS\0\2" + struct.pack("<qIII", 0, serial, 0, 0) + bytes([1, len(head)]) + head for serial in range(count)
    )


BOMBS = {
    "90 million samples": mp4(samples=90_000_000, sample_bytes=1),
    "4 billion samples": mp4(samples=0xFFFFFFFF, sample_bytes=1),
    "a few million samples in each of many tracks": mp4(samples=3_000_000, sample_bytes=1, tracks=30),
    "90 million samples in a fragment": fragments(90_000_000),
    "2,000 tracks": mp4(tracks=2000),
    "a million empty fragments": mp4(
        tracks=30, more=box(b"mvex", file_box(b"trex", struct.pack(">IIIII", 1, 1, 1024, 1, 0)))
    )
    + box(b"moof", file_box(b"mfhd", bytes(4))) * 300_000,
    "3,000 streams": ogg_streams(3000),
    "a compressed index": mp4(more=box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", bytes(99)))),
    "a title of 2 GB": wav(murmur(1), rate=8000, before=b"LIST\x1a\0\0\x80INFOISFT\x0d\0\0\xffabc"),
    "a huge tag": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(40_000_000),
    "zeros that say flac": b"fLaC\0\0\0\x22" + bytes(34) + b"\x84\xff\xff\xff" + bytes(10_000_000),
    "headers of nothing": (b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\xff" * 9) * 200_000,
    "boxes in boxes": box(b"ftyp", b"M4A \0\0\0\0")
    + b"".join(struct.pack(">I4s", 8 * (9_999 - n), b"moov") for n in range(9_998)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_made_to_exhaust_us_is_refused_soon_and_takes_little_memory(kind: str) -> None:
    before = _peak_megabytes()
    refused(BOMBS[kind])
    assert _peak_megabytes() - before < 300


def _peak_megabytes() -> float:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def test_a_long_uncompressed_mov_is_no_bomb() -> None:
    sound = bytes(2 * 5_000_000)
    _, samples = recorded(mp4(codec=b"sowt", samples=5_000_000, sample_bytes=2, each=1, sound=sound))
    assert len(samples) / RATE == pytest.approx(5_000_000 / 44100, abs=0.1)
