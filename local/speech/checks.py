"""Checks a request before it is answered.

The service accepts some mistakes and then recognises nothing: it answers a wrong codec string with `NoMatch`. The
stand-in reports the mistake instead, so a client that it accepts also works with the service.
"""

import base64
import binascii
import io
import json
import re
import struct
import wave
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from local.speech.answers import JSON_TYPE, Answer
from local.speech.behaviour import Behaviour
from local.speech.wire import MAX_BODY_BYTES, Body
from transcription import locales
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE

MODES = ("conversation", "interactive", "dictation")
RECOGNITION_PATH = re.compile(rf"(/stt)?/speech/recognition/({'|'.join(MODES)})/cognitiveservices/v1")
WAV = "audio/wav; codecs=audio/pcm; samplerate=16000"
OGG = "audio/ogg; codecs=opus"
LOCALE = re.compile(r"[a-z]{2,3}(-[a-z]{4})?-([a-z]{2}|\d{3})(-[a-z]+)?", re.IGNORECASE)
CONNECTION_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
CLOSED_PARAMETERS = {"format": ("simple", "detailed"), "profanity": ("masked", "removed", "raw")}

REASON = "X-Reason"  # the header that says exactly what is wrong
MAX_PRONUNCIATION_SECONDS = 30
MOST_DECODED_SECONDS = 120
OPUS_SLACK_SECONDS = 0.1  # an Opus frame has up to 60 ms

PRONUNCIATION_PARAMETERS = {
    "GradingSystem": ("FivePoint", "HundredMark"),
    "Granularity": ("Phoneme", "Word", "FullText"),
    "Dimension": ("Basic", "Comprehensive"),
    "EnableMiscue": ("False", "True"),
    "EnableProsodyAssessment": ("False", "True"),
}


class Refusal(Exception):
    """The error that answers a bad request.

    `kind` names the line of the behaviour table with its status and body. Then the message, which is more exact than
    the service's, is in the header X-Reason. Without a kind, the message is in the body.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None, kind: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.kind = kind

    def answer(self, behaviour: Behaviour) -> Answer:
        if self.kind:
            status, body = behaviour.error(self.kind)
            reason = {REASON: str(self).encode("ascii", "replace").decode()}
            return Answer(status, body, {"Content-Type": JSON_TYPE, **reason, **self.headers})
        error = {"code": str(self.status), "message": str(self)}
        return Answer.document({"error": error}, self.status, self.headers)


def wrong_audio(message: str) -> Refusal:
    return Refusal(400, message, kind="audio")


def wrong_language(message: str) -> Refusal:
    return Refusal(400, message, kind="language")


def check_recognition(query: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> None:
    """Check the query and headers of a recognition request, except the authorisation.

    Raises Refusal if anything is wrong.
    """
    _check_query(query)
    for name, value in (("transfer-encoding", "chunked"), ("expect", "100-continue")):
        if headers.get(name, "").lower() != value:
            raise Refusal(400, f"{name}: {value} is required")
    if "content-length" in headers:
        raise Refusal(400, "content-length must not be sent with transfer-encoding: chunked")
    if "application/json" not in headers.get("accept", ""):
        raise Refusal(400, "accept: application/json is required")
    if headers.get("content-type") not in (WAV, OGG):
        raise Refusal(400, f"content-type must be exactly '{WAV}' or '{OGG}'")
    assessment(headers)


def _check_query(query: Sequence[tuple[str, str]]) -> None:
    given = dict(query)
    if len(given) != len(query):
        raise Refusal(400, "each query parameter may be given only once")
    if not LOCALE.fullmatch(given.get("language", "")):
        raise wrong_language("the query parameter language is required. Use a locale such as en-US")
    if locales.canonical(given["language"]) is None:
        raise wrong_language("the query parameter language is a locale that speech to text does not support")
    for name, allowed in CLOSED_PARAMETERS.items():
        if name in given and given[name] not in allowed:
            raise Refusal(400, f"the query parameter {name} must be one of {', '.join(allowed)}")
    if not CONNECTION_ID.fullmatch(given.get("X-ConnectionId", "0" * 32)):
        raise Refusal(400, "the query parameter X-ConnectionId must be 32 hex digits")


def assessment(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the parameters of the pronunciation assessment, or None if the request asks for none.

    Raises Refusal if they are wrong.
    """
    header = headers.get("pronunciation-assessment")
    if header is None:
        return None
    try:
        parameters: Any = json.loads(base64.b64decode(header, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "pronunciation-assessment must be base64 of JSON") from error
    if not isinstance(parameters, dict) or not isinstance(parameters.get("ReferenceText"), str):
        raise Refusal(400, "pronunciation-assessment needs a ReferenceText")
    for name, allowed in PRONUNCIATION_PARAMETERS.items():
        if name in parameters and str(parameters[name]) not in allowed:
            raise Refusal(400, f"pronunciation-assessment: {name} must be one of {', '.join(allowed)}")
    return parameters


def samples(body: Body, headers: Mapping[str, str], behaviour: Behaviour) -> bytes:
    """Return a body as 16 kHz mono s16le, up to the longest that is recognised.

    Raises Refusal if it is too long, or not what its headers say.
    """
    if len(body.content) > MAX_BODY_BYTES:
        raise Refusal(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    ogg = headers["content-type"] == OGG
    if ogg and behaviour.ogg != "understood":
        raise wrong_audio("the audio is OGG")
    pcm = _from_ogg(bytes(body.content)) if ogg else _from_wav(body, behaviour)
    limit = MAX_PRONUNCIATION_SECONDS if "pronunciation-assessment" in headers else behaviour.max_seconds
    if len(pcm) > BYTES_PER_SECOND * (limit + (OPUS_SLACK_SECONDS if ogg else 0)):
        if behaviour.too_long == "refused":
            raise wrong_audio(f"the audio is longer than {limit:g} s")
        return pcm[: int(BYTES_PER_SECOND * limit)]
    return pcm


def _from_wav(body: Body, behaviour: Behaviour) -> bytes:
    content, later_chunks = body.content, body.starts[1:]
    expected = _wav_header(len(content))
    first_length = later_chunks[0] if later_chunks else len(content)
    if first_length < len(expected) or not content.startswith(expected):
        if behaviour.other_audio == "understood":
            return b"".join(_decoded(bytes(content), None))
        problem = _wav_problem(bytes(content), first_length, expected)
        raise wrong_audio(f"the first chunk must start with the WAV header: {problem}")
    if any(_is_header(content[start : start + 12]) for start in later_chunks):
        raise wrong_audio("only the first chunk may have a WAV header")
    if (len(content) - len(expected)) % SAMPLE_BYTES:
        raise wrong_audio("the WAV data ends in the middle of a sample")
    return bytes(memoryview(content)[len(expected) :])


def _wav_header(size: int) -> bytes:
    """Return the 44 bytes that a WAV file of `size` bytes must start with."""
    fmt = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, BYTES_PER_SECOND, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
    riff = struct.pack("<4sI4s", b"RIFF", max(size - 8, 0), b"WAVE")
    return riff + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt + struct.pack("<4sI", b"data", max(size - 44, 0))


def _is_header(start: bytes | bytearray) -> bool:
    return start[:4] == b"RIFF" and start[8:12] == b"WAVE"


def _wav_problem(content: bytes, first_length: int, expected: bytes) -> str:
    """Return the problem, in words that help to debug a client."""
    if not _is_header(content):
        return "it is not a RIFF/WAVE file"
    if content.startswith(expected):
        return f"the first chunk has only {first_length} bytes of it"
    try:
        with wave.open(io.BytesIO(content)) as sound:
            shape = (sound.getframerate(), sound.getnchannels(), 8 * sound.getsampwidth())
    except (wave.Error, EOFError) as error:
        return f"it must be PCM, format tag 1 ({error})"
    if shape != (SAMPLE_RATE, 1, 8 * SAMPLE_BYTES):
        return f"it must have 16000 Hz, 1 channel, 16 bits, not {shape[0]} Hz, {shape[1]} channels, {shape[2]} bits"
    return "the sizes must be those of the body, with fmt and data the only chunks"


def _from_ogg(content: bytes) -> bytes:
    head = content.find(b"OpusHead", 0, 64)
    if not content.startswith(b"OggS") or head < 0 or len(content) < head + 16:
        raise wrong_audio("the body is not OGG with Opus in it")
    channels, rate = content[head + 9], struct.unpack_from("<I", content, head + 12)[0]
    if (channels, rate) != (1, SAMPLE_RATE):
        raise wrong_audio(f"the Opus stream must have 16000 Hz, 1 channel, not {rate} Hz, {channels} channels")
    pcm = bytearray()
    for part in _decoded(content, "ogg"):
        pcm += part
        if len(pcm) > BYTES_PER_SECOND * MOST_DECODED_SECONDS:
            break  # hours of Opus fit into a body, and this is too long already
    return bytes(pcm)


def _decoded(content: bytes, file_format: str | None) -> Iterator[bytes]:
    import av  # slow to import, and needed for this format only

    to_pcm = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    try:
        with av.open(io.BytesIO(content), mode="r", format=file_format) as container:
            for frame in chain(container.decode(audio=0), [None]):
                for part in to_pcm.resample(frame):
                    yield bytes(part.planes[0])[: part.samples * SAMPLE_BYTES]
    except av.error.FFmpegError as error:
        raise wrong_audio("the audio cannot be decoded") from error
