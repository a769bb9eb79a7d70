"""Files made to do harm: they refer to other files, or need far more memory or time than their size suggests."""

import struct
from pathlib import Path

from tests.support.media_files import box, file_box, mp4
from tests.support.recordings import encode_as
from tests.support.sound import murmur, wav


def playlists(target: Path) -> dict[str, bytes]:
    """Return files that lead a player to `target`, and texts that FFmpeg opens as media."""
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


def mov_with_samples_in(target: Path) -> bytes:
    """Return a mov file whose 4,000 16-bit samples are in another file."""
    path = str(target).encode() + b"\0" * (len(str(target)) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\0\0"
    return mp4(
        codec=b"sowt",
        samples=4000,
        sample_bytes=2,
        duration=1,
        chunk_offset=0,
        sound=b"",
        references=file_box(b"alis", alias),
    )


def _fragment(samples: int) -> bytes:
    """Return an MP4 file whose first fragment declares this many samples, all of one size."""
    content = encode_as("mp4 in fragments")
    position = content.index(b"trun") + 4
    return content[:position] + struct.pack(">III", 1, samples, 100) + content[position + 12 :]


def _empty_fragments(count: int) -> bytes:
    defaults = file_box(b"trex", struct.pack(">IIIII", 1, 1, 1024, 1, 0))
    return mp4(tracks=30, more=box(b"mvex", defaults)) + box(b"moof", file_box(b"mfhd", bytes(4))) * count


def _ogg_streams(count: int) -> bytes:
    head = b"OpusHead\1\1" + struct.pack("<HIhB", 312, 48000, 0, 0)
    return b"".join(
        b"OggS\0\2" + struct.pack("<qIII", 0, serial, 0, 0) + bytes([1, len(head)]) + head for serial in range(count)
    )


BOMBS = {
    "90 million samples": mp4(samples=90_000_000, sample_bytes=1),
    "4 billion samples": mp4(samples=0xFFFFFFFF, sample_bytes=1),
    "3 million samples in each of 30 tracks": mp4(samples=3_000_000, sample_bytes=1, tracks=30),
    "90 million samples in a fragment": _fragment(90_000_000),
    "2,000 tracks": mp4(tracks=2000),
    "300,000 empty fragments": _empty_fragments(300_000),
    "3,000 streams": _ogg_streams(3000),
    "a compressed index": mp4(more=box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", bytes(99)))),
    "a title of 2 GB": wav(murmur(1), rate=8000, before=b"LIST\x1a\0\0\x80INFOISFT\x0d\0\0\xffabc"),
    "a huge tag": b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(40_000_000),
    "a flac header and zeros": b"fLaC\0\0\0\x22" + bytes(34) + b"\x84\xff\xff\xff" + bytes(10_000_000),
    "200,000 aac headers without audio": (b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"\xff" * 9) * 200_000,
    "10,000 boxes in each other": box(b"ftyp", b"M4A \0\0\0\0")
    + b"".join(struct.pack(">I4s", 8 * (9_999 - n), b"moov") for n in range(9_998)),
}
