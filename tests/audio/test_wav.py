"""WAV files that need no decoding, and the lengths that WAV files declare."""

import io
import struct

import numpy as np
import pytest

from tests.support.recordings import decode
from tests.support.sound import chunk, murmur, wav
from transcription.audio.pcm import SAMPLE_RATE
from transcription.audio.wav import declared_seconds, open_wav


@pytest.mark.parametrize(
    "content",
    [
        wav(murmur(0.5), extensible=True),
        wav(murmur(0.5), before=chunk(b"LIST", b"INFOISFT\4\0\0\0abcd") + chunk(b"bext", bytes(603))),
        wav(murmur(0.5), claimed=0),
        wav(murmur(0.5), claimed=0xFFFFFFFF),
        wav(murmur(0.5), claimed=0x7FFFFFFF - 36),
        wav(murmur(0.5), after=chunk(b"LIST", b"INFO")),
        wav(murmur(0.5) + b"\1", claimed=0),
    ],
    ids=["extensible", "chunks before", "size 0", "size -1", "size left open", "chunks after", "half a sample"],
)
def test_odd_headers_do_no_harm(content: bytes) -> None:
    recording, samples = decode(content)
    assert samples.astype(np.int16).tobytes() == murmur(0.5)
    assert recording.damage is None


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_file_that_was_cut_off_gives_its_samples_and_reports_the_damage(rate: int) -> None:
    content = wav(murmur(2, rate), rate=rate)
    recording, samples = decode(content[: len(content) // 2])
    assert len(samples) / SAMPLE_RATE == pytest.approx(1, abs=0.01)
    assert "the file ends at 1.0 s" in str(recording.damage)
    (gap,) = recording.gaps
    assert gap == pytest.approx((1, 1), abs=0.01)


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_a_file_of_another_rate_may_leave_its_size_open(claimed: int) -> None:
    recording, samples = decode(wav(murmur(2, 8000), rate=8000, claimed=claimed))
    assert len(samples) / SAMPLE_RATE == pytest.approx(2, abs=0.01)
    assert recording.damage is None


@pytest.mark.parametrize(
    "content",
    [
        wav(murmur(0.5), rate=8000),
        wav(murmur(0.5), channels=2),
        wav(murmur(0.5), bits=8),
        wav(murmur(0.5), tag=3),
        wav(murmur(0.5))[:12],
        b"RIFF",
        b"",
    ],
    ids=["another rate", "stereo", "8 bit", "floating point", "no chunks", "no header", "empty"],
)
def test_any_other_file_is_left_to_the_decoder(content: bytes) -> None:
    assert open_wav(io.BytesIO(content), len(content)) is None


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (wav(murmur(2)), 2.0),
        (wav(murmur(2, 44_100), rate=44_100), 2.0),
        (wav(bytes(16_000), rate=8000, bits=8, tag=7), 2.0),
        (wav(murmur(2), claimed=0), None),
        (wav(murmur(2), tag=0x55), None),
        (wav(murmur(2), rate=0), None),
        (wav(murmur(2), bits=0), None),
        (b"OggS" + bytes(100), None),
    ],
    ids=["16 kHz", "44.1 kHz", "µ-law", "size left open", "mp3 in wav", "rate 0", "0 bits", "ogg"],
)
def test_the_declared_length_is_read_where_the_rate_is_constant(content: bytes, seconds: float | None) -> None:
    assert declared_seconds(io.BytesIO(content), len(content)) == seconds


@pytest.mark.parametrize(
    ("rate", "bits", "tag"), [(44_100, 16, 1), (48_000, 24, 1), (96_000, 32, 3), (8000, 8, 6), (8000, 8, 7)]
)
@pytest.mark.parametrize("byte_rate", [0, 1, 0xFFFFFFFF])
def test_a_wrong_byte_rate_in_the_header_changes_nothing(rate: int, bits: int, tag: int, byte_rate: int) -> None:
    content = bytearray(wav(bytes(2 * rate * bits // 8), rate=rate, bits=bits, tag=tag))
    content[28:32] = struct.pack("<I", byte_rate)
    recording, samples = decode(bytes(content))
    assert recording.duration == pytest.approx(2)
    assert len(samples) / SAMPLE_RATE == pytest.approx(2, abs=0.01)
    assert (recording.damage, recording.gaps) == (None, ())
