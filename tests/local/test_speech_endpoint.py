"""The local Speech endpoint speaks the service's protocol, and refuses what the service or its users would regret."""

import base64
import io
import json
import re
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import av
import pytest
import requests

from local.speech import RecognitionFailed, Script, SpeechEndpoint, Word
from tests.local.speech_client import HELLO_WORLD, PATH, Post, in_chunks, tone, wav

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


# What is accepted


@pytest.mark.parametrize("prefix", ["", "/stt"])
@pytest.mark.parametrize("mode", ["conversation", "interactive", "dictation"])
def test_every_mode_is_served_on_regional_and_custom_domain_paths(post: Post, prefix: str, mode: str) -> None:
    answer = post(path=f"{prefix}/speech/recognition/{mode}/cognitiveservices/v1")
    assert (answer.status_code, answer.json()["RecognitionStatus"]) == (200, "Success")


def test_unknown_query_parameters_are_accepted(post: Post) -> None:
    assert post(query="language=de-DE&cid=my-model&SpeechContext-phraseDetection.mode=x").status_code == 200


def test_the_recogniser_gets_the_samples_without_the_header_and_the_language(post: Post, script: Script) -> None:
    post(wav(tone(0.5)), "language=en-GB")
    assert script.calls == [(tone(0.5), "en-GB")]


def test_a_request_is_recorded_as_it_came(speech: SpeechEndpoint, post: Post) -> None:
    body = wav(tone(1.0))
    post(in_chunks(body, 10_000), "language=en-US&cid=a%20b")
    (received,) = speech.received
    assert (received.method, received.path, received.query) == ("POST", PATH, {"language": "en-US", "cid": "a b"})
    assert received.headers["ocp-apim-subscription-key"] == "local-key"
    assert (received.audio, received.chunks, received.status, received.connection) == (body, 4, 200, 1)
    assert 0 < received.started <= received.ended <= time.monotonic()


def test_opus_in_ogg_is_decoded(post: Post, script: Script) -> None:
    assert post(ogg(3.0), content_type=OGG).status_code == 200
    ((pcm, _),) = script.calls
    assert len(pcm) == pytest.approx(3.0 * 32_000, rel=0.02)


def test_a_minute_is_accepted(post: Post) -> None:
    assert post(wav(bytes(60 * 32_000))).status_code == 200


def test_connections_are_kept_alive(speech: SpeechEndpoint, post: Post) -> None:
    assert [post().status_code for _ in range(3)] == [200, 200, 200]
    assert speech.connections == 1
    assert [received.connection for received in speech.received] == [1, 1, 1]


def test_a_client_that_waits_for_it_gets_100_continue(speech: SpeechEndpoint) -> None:
    port = int(speech.url.rpartition(":")[2])
    body = wav(tone(0.1))
    head = (
        f"POST {PATH}?language=en-US HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Expect: 100-continue\r\nAccept: application/json\r\n"
        "Content-Type: audio/wav; codecs=audio/pcm; samplerate=16000\r\n"
        "Ocp-Apim-Subscription-Key: local-key\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_hundreds_of_requests_at_once_are_served(speech: SpeechEndpoint, post: Post) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(wav(tone(0.05))).status_code, range(300)))
    assert answers == [200] * 300
    assert len(speech.received) == 300


# What is refused


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
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "400")


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
    "path",
    ["/", "/speech/recognition/karaoke/cognitiveservices/v1", "/speech/recognition/conversation", f"/v1{PATH}"],
)
def test_other_paths_are_not_found(post: Post, path: str) -> None:
    assert post(path=path).status_code == 404


def test_only_post_is_allowed(speech: SpeechEndpoint, session: requests.Session) -> None:
    answer = session.get(f"{speech.url}{PATH}?language=en-US", timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no RIFF/WAVE"),
        (b"a text file, renamed", "no RIFF/WAVE"),
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
def test_a_wrong_wav_is_refused_and_the_reason_named(post: Post, body: bytes, reason: str) -> None:
    answer = post(body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]["message"]


def test_a_header_in_a_later_chunk_is_refused(post: Post) -> None:
    clip = wav(tone(0.5))
    answer = post(iter([clip[:44], clip[44:8000], clip[:44] + clip[8044:]]))
    assert (answer.status_code, "only the first chunk" in answer.text) == (400, True)


def test_a_header_torn_over_two_chunks_is_refused(post: Post) -> None:
    clip = wav(tone(0.1))
    answer = post(iter([clip[:20], clip[20:]]))
    assert (answer.status_code, "only 20 bytes" in answer.text) == (400, True)


@pytest.mark.parametrize(
    "body",
    [b"", b"OggS and nothing", ogg(1.0)[:200], ogg(1.0, rate=48_000), ogg(1.0, layout="stereo"), ogg(61.0)],
    ids=["empty", "text", "cut", "48 kHz", "stereo", "61 s"],
)
def test_wrong_ogg_is_refused(post: Post, body: bytes) -> None:
    assert post(body, content_type=OGG).status_code == 400


def test_more_than_a_minute_is_refused(post: Post) -> None:
    answer = post(wav(bytes(60 * 32_000 + 2)))
    assert (answer.status_code, "longer than 60 s" in answer.text) == (400, True)


def test_pronunciation_assessment_has_half_a_minute(post: Post) -> None:
    header = assessment(ReferenceText="good morning", GradingSystem="HundredMark", EnableMiscue="True")
    statuses = [post(wav(bytes(32_000 * seconds)), pronunciation_assessment=header).status_code for seconds in (30, 31)]
    assert statuses == [200, 400]


def test_a_body_without_end_is_refused_in_time(speech: SpeechEndpoint, post: Post) -> None:
    assert post(bytes(8 * 1024 * 1024)).status_code == 413
    assert len(speech.received[0].audio) < 5 * 1024 * 1024


def test_a_head_without_end_is_refused(post: Post) -> None:
    assert post(query="language=en-US&x=" + "x" * 100_000).status_code == 431


def test_what_is_no_http_is_refused(speech: SpeechEndpoint) -> None:
    with socket.create_connection(("127.0.0.1", int(speech.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"good morning\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_vanishes_leaves_the_endpoint_unmoved(speech: SpeechEndpoint, post: Post) -> None:
    head = f"POST {PATH}?language=en-US HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    with socket.create_connection(("127.0.0.1", int(speech.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(f"{head}Ocp-Apim-Subscription-Key: local-key\r\n\r\n5\r\nhe".encode())
    assert post().status_code == 200


# Keys and tokens


def token(
    speech: SpeechEndpoint, session: requests.Session, key: str = "local-key", body: bytes = b""
) -> requests.Response:
    headers = {"Ocp-Apim-Subscription-Key": key}
    return session.post(f"{speech.url}/sts/v1.0/issueToken", headers=headers, data=body, timeout=5)


def test_a_wrong_key_is_unauthorised_as_the_service_says_it(post: Post) -> None:
    answer = post(ocp_apim_subscription_key="wrong")
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith("Access denied due to invalid subscription key")


def test_a_request_without_any_authorisation_is_forbidden(post: Post) -> None:
    assert post(ocp_apim_subscription_key=None).status_code == 403


def test_a_token_takes_the_place_of_the_key(speech: SpeechEndpoint, session: requests.Session, post: Post) -> None:
    issued = token(speech, session)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", issued.text)
    assert post(ocp_apim_subscription_key=None, authorization=f"Bearer {issued.text}").status_code == 200


@pytest.mark.parametrize("authorization", ["Bearer made.up.token", "Basic local-key"])
def test_a_token_that_was_not_issued_is_refused(post: Post, authorization: str) -> None:
    assert post(ocp_apim_subscription_key=None, authorization=authorization).status_code == 401


def test_revoked_tokens_are_refused(speech: SpeechEndpoint, session: requests.Session, post: Post) -> None:
    authorization = f"Bearer {token(speech, session).text}"
    speech.revoke_tokens()
    assert post(ocp_apim_subscription_key=None, authorization=authorization).status_code == 401


def test_tokens_expire(session: requests.Session, post: Post) -> None:
    with SpeechEndpoint(Script(), token_seconds=0.0) as endpoint:
        authorization = f"Bearer {token(endpoint, session).text}"
        answer = post(endpoint=endpoint, ocp_apim_subscription_key=None, authorization=authorization)
    assert answer.status_code == 401


def test_a_token_needs_the_key_and_an_empty_body(speech: SpeechEndpoint, session: requests.Session) -> None:
    assert token(speech, session, key="wrong").status_code == 401
    assert token(speech, session, body=b"please").status_code == 400


# Answers


def test_simple_is_the_default_and_has_text_and_ticks_only(post: Post) -> None:
    expected = {
        "RecognitionStatus": "Success",
        "Offset": 2_000_000,
        "Duration": 8_000_000,
        "DisplayText": "Hello world.",
    }
    assert post().json() == expected


def test_detailed_has_nbest_and_words_where_asked_for(post: Post) -> None:
    best = {"Confidence": 0.9, "Lexical": "hello world", "ITN": "hello world", "MaskedITN": "hello world"}
    best |= {"Display": "Hello world."}
    assert post(query="language=en-US&format=detailed").json()["NBest"] == [best]
    words = post(query="language=en-US&format=detailed&wordLevelTimestamps=true").json()["NBest"][0]["Words"]
    assert words == [
        {"Word": "hello", "Offset": 2_000_000, "Duration": 3_000_000},
        {"Word": "world", "Offset": 6_000_000, "Duration": 4_000_000},
    ]


def test_ticks_can_be_strings(post: Post) -> None:
    with SpeechEndpoint(Script(HELLO_WORLD), ticks_as_strings=True) as endpoint:
        answer = post(query="language=en-US&format=detailed&wordLevelTimestamps=true", endpoint=endpoint).json()
    assert (answer["Offset"], answer["Duration"]) == ("2000000", "8000000")
    assert answer["NBest"][0]["Words"][0]["Offset"] == "2000000"


def test_what_comes_after_a_pause_is_left_out_and_called_success(post: Post) -> None:
    words = [Word("one", 0.0, 0.5), Word("two", 1.4, 0.5), Word("three", 2.9, 0.5), Word("four", 3.5, 0.5)]
    with SpeechEndpoint(Script(words)) as endpoint:
        answer = post(endpoint=endpoint).json()
    assert (answer["RecognitionStatus"], answer["DisplayText"], answer["Duration"]) == (
        "Success",
        "One two.",
        19_000_000,
    )


def test_the_pause_that_ends_recognition_can_be_set(post: Post) -> None:
    with SpeechEndpoint(Script([Word("one", 0.0, 0.5), Word("two", 1.0, 0.5)]), pause_seconds=0.5) as endpoint:
        assert post(endpoint=endpoint).json()["DisplayText"] == "One."


def test_long_leading_silence_ends_in_a_timeout_although_speech_follows(post: Post) -> None:
    with SpeechEndpoint(Script([Word("late", 5.1, 0.5)])) as endpoint:
        answer = post(endpoint=endpoint).json()
    assert answer == {"RecognitionStatus": "InitialSilenceTimeout", "Offset": 50_000_000, "Duration": 0}


@pytest.mark.parametrize(
    ("pcm", "status"),
    [(tone(1.0), "NoMatch"), (bytes(32_000), "InitialSilenceTimeout"), (b"", "InitialSilenceTimeout")],
)
def test_a_clip_without_words_is_no_match_if_it_has_sound_and_silence_else(post: Post, pcm: bytes, status: str) -> None:
    with SpeechEndpoint(Script()) as endpoint:
        answer = post(wav(pcm), "language=en-US&format=detailed", endpoint=endpoint).json()
    assert answer["RecognitionStatus"] == status
    assert not {"DisplayText", "NBest"} & set(answer)


@pytest.mark.parametrize(
    ("profanity", "display"), [("masked", "Well **** it."), ("removed", "Well it."), ("raw", "Well damn it.")]
)
def test_profanity_is_masked_removed_or_left(post: Post, profanity: str, display: str) -> None:
    words = [Word("well", 0.0, 0.3), Word("damn", 0.3, 0.3), Word("it", 0.6, 0.3)]
    with SpeechEndpoint(Script(words)) as endpoint:
        answer = post(query=f"language=en-US&format=detailed&profanity={profanity}", endpoint=endpoint).json()
    assert answer["DisplayText"] == display
    assert answer["NBest"][0]["Lexical"] == "well damn it"


def test_a_recogniser_that_breaks_is_answered_with_the_status_error(post: Post) -> None:
    def broken(pcm: bytes, language: str) -> list[Word]:
        raise RecognitionFailed("out of order")

    with SpeechEndpoint(Script(broken)) as endpoint:
        answer = post(endpoint=endpoint)
    assert (answer.status_code, answer.json()) == (200, {"RecognitionStatus": "Error"})


def test_latency_depends_on_the_length_of_the_audio(post: Post) -> None:
    asked: list[float] = []

    def latency(seconds: float) -> float:
        asked.append(seconds)
        return 0.2

    with SpeechEndpoint(Script(HELLO_WORLD), latency=latency) as endpoint:
        post(endpoint=endpoint)
        (received,) = endpoint.received
    assert asked == [1.0]
    assert received.ended - received.started >= 0.2


# Starting and stopping


def test_it_says_at_start_that_it_is_a_stand_in(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "local.speech"), SpeechEndpoint(Script()) as endpoint:
        pass
    assert [record.message for record in caplog.records] == [
        f"Speech stand-in on {endpoint.url}: a local imitation for trying and testing, not Azure's service"
    ]


def test_stop_ends_idle_connections_and_waits_under_way_and_leaves_no_thread(post: Post) -> None:
    before = set(threading.enumerate())
    endpoint = SpeechEndpoint(Script(HELLO_WORLD), latency=lambda seconds: 60.0)
    endpoint.start()
    with (
        socket.create_connection(("127.0.0.1", int(endpoint.url.rpartition(":")[2])), timeout=5) as idle,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(post, endpoint=endpoint)
        while not endpoint.received:
            time.sleep(0.01)
        started = time.monotonic()
        endpoint.stop()
        assert time.monotonic() - started < 2
        assert idle.recv(1) == b""
        assert isinstance(waiting.exception(5), requests.RequestException)
    assert set(threading.enumerate()) <= before | {threading.current_thread()}
