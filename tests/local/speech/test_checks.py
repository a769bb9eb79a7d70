"""The stand-in refuses wrong requests, and names the reason."""

import base64
import io
import json
import struct

import av
import pytest
import requests

from local.speech import Script, SpeechEndpoint
from tests.support.speech_requests import PATH, Post, tone, wav

OGG = "audio/ogg; codecs=opus"


def assessment(**parameters: str) -> str:
    return base64.b64encode(json.dumps(parameters).encode()).decode()


def ogg(seconds: float, rate: int = 16_000, layout: str = "mono") -> bytes:
    out = io.BytesIO()
    channels = 1 if layout == "mono" else 2
    with av.open(out, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate, layout=layout)
        for at in range(0, round(seconds * rate), rate):
            frame = av.AudioFrame(format="s16", layout=layout, samples=min(rate, round(seconds * rate) - at))
            frame.planes[0].update(tone(frame.samples * channels / 16_000)[: frame.samples * 2 * channels])
            frame.sample_rate, frame.pts = rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def test_opus_in_ogg_is_decoded(post: Post, script: Script) -> None:
    assert post(ogg(3.0), content_type=OGG).status_code == 200
    ((pcm, _),) = script.calls
    assert len(pcm) == pytest.approx(3.0 * 32_000, rel=0.02)


def test_a_minute_is_accepted(post: Post) -> None:
    assert post(wav(bytes(60 * 32_000))).status_code == 200


def test_unknown_query_parameters_are_accepted(post: Post) -> None:
    assert post(query="language=de-DE&cid=my-model&SpeechContext-phraseDetection.mode=x").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "language=",
        "language=english",
        "language=en",
        "language=en-US&language=de-DE",
        "language=en-US&format=verbose",
        "language=en-US&profanity=hide",
        "language=en-US&X-ConnectionId=0123456789abcdef",
        "language=en-US&X-ConnectionId=01234567-89ab-cdef-0123-456789abcdef",
    ],
)
def test_a_wrong_query_is_refused(post: Post, query: str) -> None:
    answer = post(query=query)
    assert answer.status_code == 400


@pytest.mark.parametrize("language", ["", "english", "xx-XX"])
def test_an_unknown_language_is_refused_in_the_words_of_the_service(post: Post, language: str) -> None:
    answer = post(query=f"language={language}")
    assert (answer.status_code, answer.json()) == (400, {"Message": "Invalid CID or language"})


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "audio/wav"},
        {"content_type": "audio/wav; codecs=audio/pcm; samplerate=8000"},
        {"content_type": "audio/wav;codecs=audio/pcm;samplerate=16000"},
        {"content_type": "audio/mpeg"},
        {"content_type": None},
        {"accept": "text/xml"},
        {"expect": None},
        {"pronunciation_assessment": "no base64!"},
        {"pronunciation_assessment": base64.b64encode(b"[]").decode()},
        {"pronunciation_assessment": assessment(GradingSystem="HundredMark")},
        {"pronunciation_assessment": assessment(ReferenceText="good morning", GradingSystem="Stars")},
        {"pronunciation_assessment": assessment(ReferenceText="good morning", Granularity="Letter")},
    ],
)
def test_wrong_headers_are_refused(post: Post, headers: dict[str, str | None]) -> None:
    assert post(**headers).status_code == 400


def test_a_body_with_a_length_instead_of_chunks_is_refused(speech: SpeechEndpoint, session: requests.Session) -> None:
    headers = {"Ocp-Apim-Subscription-Key": "local-key", "Expect": "100-continue", "Accept": "application/json"}
    answer = session.post(f"{speech.url}{PATH}?language=en-US", data=wav(tone(0.1)), headers=headers, timeout=5)
    assert (answer.status_code, "transfer-encoding" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not a RIFF/WAVE file"),
        (b"a text file, renamed", "not a RIFF/WAVE file"),
        (wav(tone(0.1), rate=8000), "8000 Hz"),
        (wav(tone(0.1), channels=2), "2 channels"),
        (wav(tone(0.1), width=1), "8 bits"),
        (wav(tone(0.1)).replace(b"fmt \x10\0\0\0\1\0", b"fmt \x10\0\0\0\3\0"), "format tag 1"),
        (wav(tone(0.1)) + b"xx", "sizes"),
        (wav(tone(0.1))[:-2], "sizes"),
        (wav(tone(0.1))[:40] + b"\xff" * 4 + tone(0.1), "sizes"),
        (wav(tone(0.1))[:36] + b"LIST" + struct.pack("<I", 4) + b"INFO" + wav(tone(0.1))[36:], "sizes"),
        (wav(b"xxx"), "middle of a sample"),
    ],
)
def test_a_wrong_wav_is_refused_with_the_reason(post: Post, body: bytes, reason: str) -> None:
    answer = post(body)
    assert answer.status_code == 400
    assert answer.json() == {"Message": "Unsupported audio format"}
    assert reason in answer.headers["X-Reason"]


def test_a_header_in_a_later_chunk_is_refused(post: Post) -> None:
    clip = wav(tone(0.5))
    answer = post(iter([clip[:44], clip[44:8000], clip[:44] + clip[8044:]]))
    assert (answer.status_code, "only the first chunk" in answer.headers["X-Reason"]) == (400, True)


def test_a_header_split_over_two_chunks_is_refused(post: Post) -> None:
    clip = wav(tone(0.1))
    answer = post(iter([clip[:20], clip[20:]]))
    assert (answer.status_code, "only 20 bytes" in answer.headers["X-Reason"]) == (400, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"OggS and nothing", ogg(1.0)[:200], ogg(1.0, rate=48_000), ogg(1.0, layout="stereo"), ogg(61.0)],
    ids=["empty", "text", "cut", "48 kHz", "stereo", "61 s"],
)
def test_wrong_ogg_is_refused(post: Post, body: bytes) -> None:
    assert post(body, content_type=OGG).status_code == 400


def test_more_than_a_minute_is_refused(post: Post) -> None:
    answer = post(wav(bytes(60 * 32_000 + 2)))
    assert (answer.status_code, "longer than 60 s" in answer.headers["X-Reason"]) == (400, True)


def test_a_clip_for_pronunciation_assessment_may_last_half_a_minute(post: Post) -> None:
    header = assessment(ReferenceText="good morning", GradingSystem="HundredMark", EnableMiscue="True")
    statuses = [post(wav(bytes(32_000 * seconds)), pronunciation_assessment=header).status_code for seconds in (30, 31)]
    assert statuses == [200, 400]
