"""One spoken sentence in every format that tests can make, and checks of the decoded sound."""

import atexit
import io
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from tests.support.media_files import encode, speech
from transcription.audio.decoders import Decoders
from transcription.audio.pcm import SAMPLE_RATE
from transcription.audio.recording import Recording, open_recording
from transcription.errors import UnsupportedAudio

SPEECH = speech()
SECONDS = len(SPEECH) / SAMPLE_RATE

FORMATS: dict[str, dict[str, Any]] = {
    "m4a": {"container": "ipod", "codec": "aac", "rate": 44100},
    "mp4 in fragments": {
        "container": "mp4",
        "codec": "aac",
        "rate": 48000,
        "options": {"movflags": "empty_moov", "frag_duration": "1000000"},
    },
    "mp4 with pictures": {"container": "mp4", "codec": "aac", "rate": 44100, "video": "mpeg4"},
    "mp4 with opus": {"container": "mp4", "codec": "libopus", "rate": 48000},
    "mov": {"container": "mov", "codec": "pcm_s16be"},
    "mov with ima adpcm": {"container": "mov", "codec": "adpcm_ima_qt"},
    "mp3": {"container": "mp3", "codec": "libmp3lame", "rate": 44100},
    "webm with opus": {"container": "webm", "codec": "libopus", "rate": 48000},
    "webm with vorbis": {
        "container": "webm",
        "codec": "vorbis",
        "rate": 44100,
        "layout": "stereo",
        "codec_options": {"strict": "-2"},
    },
    "webm with pictures": {"container": "webm", "codec": "libopus", "rate": 48000, "video": "libvpx"},
    "mkv with ac3": {"container": "matroska", "codec": "ac3", "rate": 48000},
    "ogg with opus": {"container": "ogg", "codec": "libopus", "rate": 48000},
    "ogg with vorbis": {
        "container": "ogg",
        "codec": "vorbis",
        "rate": 44100,
        "layout": "stereo",
        "codec_options": {"strict": "-2"},
    },
    "flac": {"container": "flac", "codec": "flac"},
    "wav 8 bit": {"container": "wav", "codec": "pcm_u8", "rate": 8000},
    "wav 16 bit 44.1 kHz": {"container": "wav", "codec": "pcm_s16le", "rate": 44100},
    "wav 24 bit": {"container": "wav", "codec": "pcm_s24le", "rate": 44100},
    "wav 32 bit": {"container": "wav", "codec": "pcm_s32le", "rate": 48000},
    "wav float": {"container": "wav", "codec": "pcm_f32le", "rate": 96000},
    "wav double": {"container": "wav", "codec": "pcm_f64le"},
    "wav stereo": {"container": "wav", "codec": "pcm_s16le", "layout": "stereo"},
    "wav µ-law": {"container": "wav", "codec": "pcm_mulaw", "rate": 8000},
    "wav A-law": {"container": "wav", "codec": "pcm_alaw", "rate": 8000},
    "wav ms adpcm": {"container": "wav", "codec": "adpcm_ms", "rate": 44100},
    "wav ima adpcm": {"container": "wav", "codec": "adpcm_ima_wav", "rate": 44100},
    "wav g722": {"container": "wav", "codec": "g722"},
    "wav with mp3": {"container": "wav", "codec": "libmp3lame", "rate": 44100},
    "rf64": {"container": "wav", "codec": "pcm_s16le", "rate": 22050, "options": {"rf64": "always"}},
    "w64": {"container": "w64", "codec": "pcm_s16le"},
    "aiff": {"container": "aiff", "codec": "pcm_s16be"},
    "wma": {"container": "asf", "codec": "wmav2", "bit_rate": 64000},
    "wma 1": {"container": "asf", "codec": "wmav1", "bit_rate": 64000},
    "au": {"container": "au", "codec": "pcm_mulaw", "rate": 8000},
    "caf": {"container": "caf", "codec": "alac"},
    "aac": {"container": "adts", "codec": "aac", "rate": 44100},
    "mpeg-ts": {"container": "mpegts", "codec": "aac", "rate": 48000},
    "mpeg": {"container": "mpeg", "codec": "mp2", "rate": 48000},
    "avi": {"container": "avi", "codec": "libmp3lame", "rate": 44100, "video": "mpeg4"},
    "flv": {"container": "flv", "codec": "libmp3lame", "rate": 44100},
}
TELEPHONE_FORMATS = {"amr": 0.75, "3gp": 0.75, "awb": 0.9}  # extension → similarity after the codec's loss


def encode_as(name: str, sound: Any = SPEECH) -> bytes:
    """Return a file in one of the FORMATS."""
    options = dict(FORMATS[name])
    if options.get("layout") == "stereo":
        sound = [sound, sound]
    return encode(sound, options.pop("container"), options.pop("codec"), **options)


DECODERS = Decoders()
atexit.register(DECODERS.close)


def opened(content: bytes, file: BinaryIO | None = None) -> Recording:
    """Return the recording in a file with this content."""
    return open_recording(file or io.BytesIO(content), len(content), DECODERS, lambda: None)


def decoder_processes() -> list[int]:
    """Return the process ids of all decoders that this process has."""
    task = Path(f"/proc/self/task/{os.getpid()}/children")  # of the main thread
    children = [int(child) for child in task.read_text().split()]
    return [child for child in children if b"audio import child" in Path(f"/proc/{child}/cmdline").read_bytes()]


def decode(content: bytes) -> tuple[Recording, np.ndarray]:
    """Return the recording, read to its end, and its samples."""
    recording = opened(content)
    pcm = b"".join(recording.blocks())
    return recording, np.frombuffer(pcm, np.int16).astype(float)


def refusal(content: bytes) -> str:
    """Return the message with which a file is refused, within the time that a hostile one may take."""
    started = time.perf_counter()
    with pytest.raises(UnsupportedAudio) as error:
        decode(content)
    assert time.perf_counter() - started < 5
    return str(error.value)


def similarity(samples: np.ndarray, original: np.ndarray = SPEECH) -> float:
    """Return the correlation at the best shift of up to 40 ms, which formats without timestamps add at the start."""
    shifts = range(-80, 640, 2)
    length = min(len(original), len(samples)) - 640
    middle = original[80:length]
    return max(float(np.corrcoef(middle, samples[80 + shift : length + shift])[0, 1]) for shift in shifts)


def level(samples: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(samples**2)))


def assert_speech(samples: np.ndarray, at_least: float = 0.97) -> None:
    assert abs(len(samples) / SAMPLE_RATE - SECONDS) < 0.06
    assert similarity(samples) > at_least
