"""Both formats that the service accepts keep the recorded samples."""

import io
import math
import struct
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Sequence
from itertools import chain

import av
import pytest

from local.speech import SpeechEndpoint
from tests.support.app import App
from tests.support.sound import murmur, wav
from transcription.audio.pcm import SAMPLE_RATE
from transcription.speech.encoding import as_ogg, as_wav, encoded

SECOND = SAMPLE_RATE
BURSTS = (0, 7_000, 16_000, 31_999, 45_000, 47_000)  # samples; where the clicks start


def clicks(seconds: float) -> bytes:
    """Return silence with short bursts of noise, whose positions can be found again."""
    samples = array("h", bytes(2 * int(seconds * SECOND)))
    for start in BURSTS:
        for position in range(start, min(start + 400, len(samples))):
            samples[position] = int(12_000 * math.sin(position * position / 50))
    return samples.tobytes()


def decoded(ogg: bytes) -> list[int]:
    """Return the samples that a player would play, without those that the file marks to be skipped."""
    to_pcm = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pcm = bytearray()
    with av.open(io.BytesIO(ogg), mode="r", format="ogg") as container:
        for frame in chain(container.decode(audio=0), [None]):
            for part in to_pcm.resample(frame):
                pcm += bytes(part.planes[0])[: 2 * part.samples]
    return list(array("h", pcm))


def onsets(samples: Sequence[int]) -> list[int]:
    """Return the positions where sound starts after at least 50 ms of silence."""
    starts, last = [], -SECOND
    for position, sample in enumerate(samples):
        if abs(sample) > 3_000:
            if position - last > SECOND // 20:
                starts.append(position)
            last = position
    return starts


def test_wav_has_the_samples_after_a_canonical_header() -> None:
    audio = as_wav(murmur(0.5))
    with wave.open(io.BytesIO(audio.header + audio.body)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        assert file.readframes(SECOND) == murmur(0.5)
    assert (audio.content_type, audio.seconds) == ("audio/wav; codecs=audio/pcm; samplerate=16000", 0.5)


def test_ogg_declares_opus_with_16_khz_and_one_channel() -> None:
    audio = as_ogg(murmur(0.5))
    head = audio.body.index(b"OpusHead")
    assert (audio.content_type, audio.header, audio.seconds) == ("audio/ogg; codecs=opus", b"", 0.5)
    assert (audio.body[:4], audio.body[head + 9]) == (b"OggS", 1)
    assert struct.unpack_from("<I", audio.body, head + 12) == (SAMPLE_RATE,)


@pytest.mark.parametrize("samples", [160, 319, 320, 16_000, 48_007])
def test_ogg_decodes_to_the_same_length(samples: int) -> None:
    assert abs(len(decoded(as_ogg(murmur(4.0)[: 2 * samples]).body)) - samples) <= SECOND // 50


def test_ogg_decodes_to_the_same_positions() -> None:
    pcm = clicks(3.0)
    expected = onsets(array("h", pcm))
    actual = onsets(decoded(as_ogg(pcm).body))
    assert len(expected) == len(BURSTS)
    assert actual == pytest.approx(expected, abs=SECOND // 50)


@pytest.mark.parametrize("pcm", [b"\0\0", b"\1\0" * 3])
def test_a_few_samples_can_be_encoded(pcm: bytes) -> None:
    assert as_ogg(pcm).body.startswith(b"OggS")


def test_a_minute_is_encoded_fast_into_an_eighth_of_the_bytes() -> None:
    pcm = b"".join(murmur(0.5 + n / 100) + bytes(8_000) for n in range(60))[: 60 * 2 * SECOND]
    started = time.process_time()
    audio = as_ogg(pcm)
    assert time.process_time() - started < 2  # it takes 0.3 s; machines differ
    assert len(audio.body) < 0.125 * len(pcm)


def test_only_ogg_imports_the_media_library() -> None:
    code = (
        "import sys; from transcription.speech.encoding import encoded; "
        "encoded(b'ab', 'wav'); assert 'av' not in sys.modules; "
        "encoded(b'ab', 'ogg'); assert 'av' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_setting_decides_the_format_that_is_sent(app: App, endpoint: SpeechEndpoint) -> None:
    app.upload("a.wav", wav(murmur(2.0)))
    app.run("a.wav", SPEECH_AUDIO_FORMAT="ogg")
    app.upload("b.wav", wav(murmur(2.0)))
    app.run("b.wav", SPEECH_AUDIO_FORMAT="wav")
    ogg, plain = endpoint.received
    assert app.document("a.wav")["text"] == app.document("b.wav")["text"] == "Hello world."
    assert app.document("a.wav")["recognition"]["audioSecondsSent"] == 2.0
    assert ogg.headers["content-type"] == "audio/ogg; codecs=opus"
    assert len(decoded(ogg.audio)) == 2 * SECOND
    assert plain.headers["content-type"] == encoded(b"", "wav").content_type
    assert len(ogg.audio) < len(plain.audio) / 5
