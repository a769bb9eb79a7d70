"""Every supported format gives the same samples. Of a damaged file, what can be decoded keeps its time."""

import contextlib
import random
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.media_files import MEDIA, encode, mp4, tone
from tests.support.recordings import (
    FORMATS,
    SECONDS,
    SPEECH,
    TELEPHONE_FORMATS,
    assert_speech,
    decode,
    encode_as,
    level,
    opened,
    refusal,
    similarity,
)
from transcription.audio.asf import BROADCAST, FILE_PROPERTIES
from transcription.audio.pcm import SAMPLE_RATE
from transcription.errors import UnsupportedAudio


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_speech(name: str) -> None:
    recording, samples = decode(encode_as(name))
    assert_speech(samples)
    assert recording.damage is None
    assert level(samples) == pytest.approx(level(SPEECH), rel=0.1)


@pytest.mark.parametrize(("ending", "at_least"), TELEPHONE_FORMATS.items())
def test_formats_of_telephones_give_the_same_speech(ending: str, at_least: float) -> None:
    recording, samples = decode((MEDIA / f"weather.{ending}").read_bytes())
    assert_speech(samples, at_least)
    assert recording.damage is None


@pytest.mark.parametrize("name", ["weather-gsm.wav", "weather-speex.ogg"])
def test_old_speech_codecs_are_supported(name: str) -> None:
    _, samples = decode((MEDIA / name).read_bytes())
    assert_speech(samples, 0.75)


def test_a_recording_describes_its_format_and_length() -> None:
    recording, _ = decode(encode_as("m4a", tone(1)))
    assert recording.format == "mov,mp4 / aac, 44100 Hz, 1 channel"
    assert recording.duration == pytest.approx(1, abs=0.05)


THREE_HOURS = 3 * 3600


def long_mp4_header() -> bytes:
    """Return an m4a file of 3 s of which all headers, but not the sample tables, say three hours."""
    content = bytearray(encode_as("m4a"))
    for name, offset, units in ((b"mvhd", 20, 1000), (b"tkhd", 24, 1000), (b"elst", 12, 1000), (b"mdhd", 20, 44_100)):
        start = content.index(name) + offset
        content[start : start + 4] = struct.pack(">I", THREE_HOURS * units)
    return bytes(content)


def long_last_sample() -> bytes:
    """Return an m4a file of 3 s of which the last sample's duration is three hours."""
    content = bytearray(long_mp4_header())
    start = content.index(b"stts") + 8
    entries, _, _, samples, _ = struct.unpack(">5I", content[start : start + 20])
    assert (entries, samples) == (2, 1)
    content[start + 16 : start + 20] = struct.pack(">I", THREE_HOURS * 44_100)
    return bytes(content)


def long_flac_header() -> bytes:
    """Return a FLAC file of 3 s whose STREAMINFO says three hours."""
    content = encode_as("flac")
    start = content.index(b"fLaC") + 18
    packed = int.from_bytes(content[start : start + 8]) >> 36 << 36 | THREE_HOURS * SAMPLE_RATE
    return content[:start] + packed.to_bytes(8) + content[start + 8 :]


def wrong_byte_rate(name: str) -> bytes:
    """Return a file whose wave format declares one byte a second."""
    content = encode(SPEECH, name, "pcm_s16le")
    start = content.index(struct.pack("<HHII", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE)) + 8
    return content[:start] + struct.pack("<I", 1) + content[start + 4 :]


LYING: dict[str, Callable[[], bytes]] = {
    "m4a": long_mp4_header,
    "m4a with a long last sample": long_last_sample,
    "flac": long_flac_header,
    "avi": lambda: wrong_byte_rate("avi"),
    "w64": lambda: wrong_byte_rate("w64"),
}


@pytest.mark.parametrize("name", LYING)
def test_a_file_that_wrongly_declares_a_long_recording_is_not_long_and_gives_its_samples(name: str) -> None:
    content = LYING[name]()
    recording = opened(content)
    assert not recording.exceeds(2 * 3600)
    assert_speech(np.frombuffer(b"".join(recording.blocks()), np.int16).astype(float))


@pytest.mark.parametrize("name", ["m4a", "avi", "w64"])  # of the others, the end may really be missing
def test_a_length_that_only_seems_long_is_no_damage(name: str) -> None:
    recording, _ = decode(LYING[name]())
    assert (recording.damage, recording.gaps) == (None, ())


@pytest.mark.parametrize("codec", ["ac3", "libmp3lame"])
def test_a_length_estimated_from_the_bit_rate_is_no_damage(codec: str) -> None:
    live = encode(tone(20), "matroska", codec, rate=48_000, bit_rate=64_000, options={"live": "1"})
    recording, samples = decode(live)
    assert (recording.duration or 0) > len(samples) / SAMPLE_RATE + 0.5
    assert (recording.damage, recording.gaps) == (None, ())


def test_a_broadcast_wma_file_is_not_damaged() -> None:
    content = bytearray(encode_as("wma", tone(20)))
    content[content.index(FILE_PROPERTIES) + 88] |= BROADCAST
    recording, samples = decode(bytes(content))
    assert (recording.duration or 0) > len(samples) / SAMPLE_RATE + 0.5
    assert (recording.damage, recording.gaps) == (None, ())


def test_a_lost_packet_that_claims_an_hour_does_not_make_a_gap_of_an_hour() -> None:
    content = bytearray(encode_as("wma"))
    start = content.index(struct.pack("<HHI", 0x161, 1, SAMPLE_RATE)) + 8
    content[start : start + 4] = struct.pack("<I", 1)
    recording, _ = decode(bytes(content))
    ((gap_start, duration),) = recording.gaps
    assert gap_start + duration < SECONDS


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("mp4 in fragments",)])
def test_a_recording_over_the_limit_is_known_before_it_is_used(name: str) -> None:
    content = encode_as(name)
    assert opened(content).exceeds(2.0)


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_measured_before_it_is_used_gives_the_same_samples(name: str) -> None:
    content = encode_as(name)
    recording = opened(content)
    recording.duration = float(THREE_HOURS)
    assert not recording.exceeds(3.2)
    assert b"".join(recording.blocks()) == decode(content)[1].astype(np.int16).tobytes()


def test_the_padding_that_encoders_add_at_the_start_is_skipped() -> None:
    sound = np.concatenate([np.zeros(8000), tone(0.5)])
    for name in ("m4a", "mp3", "webm with opus", "ogg with opus"):
        _, samples = decode(encode_as(name, sound))
        assert abs(int(np.argmax(np.abs(samples) > 2000)) - 8000) < 80, name


def test_the_sample_rate_and_channels_may_change_in_the_middle() -> None:
    first = encode(tone(1), "adts", "aac", rate=44100)
    second = encode([tone(1), tone(1)], "adts", "aac", rate=22050)
    _, samples = decode(first + second)
    assert len(samples) / SAMPLE_RATE == pytest.approx(2, abs=0.2)
    assert level(samples[-SAMPLE_RATE // 2 :]) == pytest.approx(level(tone(1)), rel=0.15)


def test_a_damaged_stretch_in_the_middle_is_silent_and_what_follows_keeps_its_time() -> None:
    sound = np.concatenate([SPEECH, SPEECH, SPEECH])
    content = bytearray(encode_as("m4a", sound))
    middle = len(content) // 2
    content[middle : middle + 3000] = random.Random(1).randbytes(3000)
    recording, samples = decode(bytes(content))
    assert abs(len(samples) - len(sound)) < 0.06 * SAMPLE_RATE
    assert similarity(samples[2 * len(SPEECH) :]) > 0.97
    assert "could not be decoded" in str(recording.damage)
    ((start, duration),) = recording.gaps
    assert abs(start - 1.5 * len(SPEECH) / SAMPLE_RATE) < 1.5
    assert 0 < duration < 1.5


@pytest.mark.parametrize(
    "name", ["mp4 in fragments", "mp3", "webm with opus", "flac", "wav 24 bit", "aiff", "wma"]
)  # ogg, aac, amr and mpeg-ts do not declare a length
def test_a_file_that_was_cut_off_gives_its_samples_and_reports_the_damage(name: str) -> None:
    sound = np.concatenate([SPEECH] * 4)
    content = encode_as(name, sound)
    recording, samples = decode(content[: len(content) * 6 // 10])
    assert 5.5 < len(samples) / SAMPLE_RATE < 8
    assert similarity(samples[: len(SPEECH)]) > 0.97
    assert "the file ends at" in str(recording.damage) or "damaged from" in str(recording.damage)


def test_a_file_with_a_damaged_end_gives_the_samples_before_it_and_reports_the_damage() -> None:
    content = bytearray(encode_as("mp3", np.concatenate([SPEECH] * 4)))
    content[len(content) // 2 :] = random.Random(1).randbytes(len(content) // 2 + 1)
    recording, samples = decode(bytes(content))
    assert similarity(samples[: len(SPEECH)]) > 0.97
    assert "damaged from 6" in str(recording.damage)


def test_a_file_in_which_nothing_can_be_decoded_is_refused() -> None:
    assert "nothing in it can be decoded" in refusal(mp4(sound=random.Random(1).randbytes(4000)))


@pytest.mark.parametrize("name", [*FORMATS, *TELEPHONE_FORMATS])
def test_random_damage_gives_samples_or_a_refusal(name: str) -> None:
    whole = encode_as(name, SPEECH[:16_000]) if name in FORMATS else (MEDIA / f"weather.{name}").read_bytes()
    chance = random.Random(name)
    for _ in range(10):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 5, 50))):
            content[chance.randrange(min(len(content), chance.choice((100, 1000, 1 << 30))))] = chance.randrange(256)
        del content[chance.choice((len(content), chance.randrange(1, len(content)))) :]
        started = time.process_time()
        with contextlib.suppress(UnsupportedAudio):
            decode(bytes(content))
        assert time.process_time() - started < 5
