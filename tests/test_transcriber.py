"""The transcription of one recording: clips in order, limits, progress, and clips that fail."""

import io
import logging
import struct
import threading

import numpy as np
import pytest

from local.speech import Fault, Script, SpeechEndpoint, Word
from tests.support.clock import FakeClock
from tests.support.recordings import DECODERS, encode_as
from tests.support.recordings import SPEECH as VOICE
from tests.support.settings import SPEECH_KEY, app_settings
from tests.support.sound import murmur, wav
from tests.support.transcribing import FOUR_CLIPS, PAUSE, SPEECH, Memory, Pcm, Service, transcribe_file
from transcription.audio.pcm import BYTES_PER_SECOND, SAMPLE_RATE
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted, NothingRecognized, RequestRefused, TooLong
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO
from transcription.transcriber import Transcriber
from transcription.transcript.model import Usage

STARTS = [2.0, 9.0, 16.0, 23.0]  # seconds; where the speech of FOUR_CLIPS begins


@pytest.fixture
def service(endpoint: SpeechEndpoint, clock: FakeClock) -> Service:
    return Service(endpoint, clock)


def test_each_stretch_of_speech_is_a_clip_with_times_of_the_recording(service: Service) -> None:
    transcript = service.transcribe(FOUR_CLIPS)
    assert (transcript.status, transcript.duration) == ("Succeeded", 30.0)
    assert [phrase.text for phrase in transcript.phrases] == ["Hello world."] * 4
    for phrase, start in zip(transcript.phrases, STARTS, strict=True):
        assert phrase.offset == pytest.approx(start, abs=0.3)
        assert phrase.words[0].offset == phrase.offset
    assert all(seconds < 6 for seconds in service.sent_seconds), "silence is not sent"


def test_results_are_in_order_whatever_the_order_of_the_answers(clock: FakeClock) -> None:
    arrivals: list[int] = []
    lock = threading.Lock()

    def slow_first(pcm: bytes, language: str) -> list[Word]:
        with lock:
            arrivals.append(len(arrivals))
            mine = arrivals[-1]
        threading.Event().wait(0.3 - 0.1 * mine)
        return [Word(f"clip{len(pcm) // BYTES_PER_SECOND}", 0.2, len(pcm) / BYTES_PER_SECOND - 0.4)]

    pcm = PAUSE + b"".join(murmur(seconds) + PAUSE for seconds in (7.0, 5.0, 3.0))
    with SpeechEndpoint(Script(slow_first), key=SPEECH_KEY) as endpoint:
        transcript = Service(endpoint, clock).transcribe(pcm)
        assert endpoint.connections == 3, "they are sent in parallel"
    assert [phrase.text for phrase in transcript.phrases] == ["Clip7.", "Clip5.", "Clip3."]


def test_speech_without_any_word_says_to_check_the_language(service: Service) -> None:
    for _ in range(4):
        service.answer_next("NoMatch", 5.3)
    with pytest.raises(NothingRecognized, match=r"en-US.*Check the language"):
        service.transcribe(FOUR_CLIPS)


def test_there_is_no_transcript_if_every_clip_is_refused(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(400, b"bad audio")] * 4)
    with pytest.raises(RequestRefused, match="bad audio"):
        service.transcribe(FOUR_CLIPS)


def test_answers_from_before_the_time_was_up_are_kept_and_not_requested_again(service: Service) -> None:
    service.endpoint.faults.extend([Fault.none(), Fault.none(), *[Fault.status(503)] * 100])
    known = Memory()
    with pytest.raises(Exhausted):
        service.transcribe(FOUR_CLIPS, budget=60, known=known, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert len(known.answers) == 2
    service.endpoint.faults.clear()
    sent = len(service.sent_seconds)
    transcript = service.transcribe(FOUR_CLIPS, known=known)
    assert (transcript.status, len(transcript.phrases)) == ("Succeeded", 4)
    assert len(service.sent_seconds) == sent + 2


def test_there_is_no_transcript_without_any_answer(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(503)] * 100)
    with pytest.raises(Exhausted):
        service.transcribe(FOUR_CLIPS, budget=60)


@pytest.mark.parametrize("declared", [None, 61.0, 1e12])
def test_a_recording_over_the_limit_is_refused_whatever_length_it_declares(
    service: Service, declared: float | None
) -> None:
    with pytest.raises(TooLong, match="1 minutes"):
        service.transcribe(murmur(2.0) * 31, duration=declared, MAX_AUDIO_MINUTES="1")


def test_a_recording_that_rightly_declares_to_be_over_the_limit_costs_nothing(service: Service) -> None:
    with pytest.raises(TooLong):
        service.transcribe(FOUR_CLIPS * 3, duration=90.0, MAX_AUDIO_MINUTES="1")
    assert service.sent_seconds == []


def test_a_recording_that_wrongly_declares_to_be_over_the_limit_is_transcribed(service: Service) -> None:
    transcript = service.transcribe(FOUR_CLIPS, duration=9999.0, MAX_AUDIO_MINUTES="1")
    assert (transcript.status, transcript.duration) == ("Succeeded", 30.0)


@pytest.mark.parametrize("name", ["m4a", "flac", "webm with opus", "wma"])
def test_a_long_file_of_any_format_with_a_length_costs_nothing(endpoint: SpeechEndpoint, name: str) -> None:
    file = io.BytesIO(encode_as(name, np.tile(np.concatenate([VOICE, np.zeros(2 * SAMPLE_RATE)]), 14)))
    with pytest.raises(TooLong, match="1 minutes"):
        transcribe_file(file, endpoint, MAX_AUDIO_MINUTES="1")
    assert endpoint.received == []


def test_a_wav_file_whose_header_has_a_wrong_byte_rate_is_transcribed(endpoint: SpeechEndpoint) -> None:
    content = bytearray(wav(murmur(5.0, 8000), rate=8000))
    content[28:32] = struct.pack("<I", 1)
    transcript = transcribe_file(io.BytesIO(content), endpoint)
    assert (transcript.status, transcript.gaps) == ("Succeeded", ())
    assert [phrase.text for phrase in transcript.phrases] == ["Hello world."]


def test_the_log_shows_the_progress_of_a_long_recording(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service.transcribe((SPEECH + PAUSE) * 30, duration=210.0)
    tenths = [record.message for record in caplog.records if ": transcribed " in record.message]
    assert len(tenths) == 10 or len(tenths) == 9
    assert all(" of 3:30 (" in line for line in tenths)


def test_a_short_recording_logs_no_progress(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service.transcribe(FOUR_CLIPS, duration=30.0)
    assert "transcribed" not in caplog.text


def test_a_recording_that_fails_does_not_wait_for_its_retries(endpoint: SpeechEndpoint) -> None:
    """On the real clock: a clip waits a minute for its next try while the rest of the file turns out to be too long."""
    endpoint.faults.append(Fault.status(503, headers={"Retry-After": "60"}))
    clock = SystemClock()
    settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint.url, MAX_AUDIO_MINUTES="1"))
    transcriber = Transcriber(settings, SpeechClient(settings.speech, clock), DECODERS)
    started = clock.monotonic()
    with pytest.raises(TooLong):
        transcriber.transcribe(
            Pcm((SPEECH + PAUSE) * 9),
            RecognitionOptions("en-US", "masked"),
            Usage(),
            Requester(LONG_AGO, Budget(clock, 600, "a.wav")),
            Memory(),
            lambda: None,
        )
    assert clock.monotonic() - started < 20


@pytest.mark.parametrize("kind", ["simple", "detailed"])
def test_words_said_twice_in_clips_that_share_no_sound_are_kept_twice(clock: FakeClock, kind: str) -> None:
    def boats(pcm: bytes, language: str) -> list[Word]:
        third = len(pcm) / (3 * BYTES_PER_SECOND)
        return [Word(text, third * n + 0.05, third - 0.1) for n, text in enumerate(("the", "boats", "the"))]

    with SpeechEndpoint(Script(boats), key=SPEECH_KEY) as endpoint:
        endpoint.faults.extend([Fault.none(), Fault.status(400)])
        service = Service(endpoint, clock)
        transcript = service.transcribe(FOUR_CLIPS, SPEECH_FORMAT=kind, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert [phrase.text for phrase in transcript.phrases] == ["The boats the."] * 3


def test_gaps_of_clips_that_share_sound_do_not_overlap(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(400, b"bad audio")] * 2)
    transcript = service.transcribe(murmur(150.0), SPEECH_MAX_CONCURRENT_REQUESTS="1")
    first, second = transcript.gaps
    assert first.offset + first.duration <= second.offset + 0.05


def test_nothing_is_sent_before_a_recording_with_three_clips_is_announced(service: Service) -> None:
    sent: list[int] = []
    options, requester = RecognitionOptions("en-US", "masked"), Requester(LONG_AGO, Budget(service.clock, 600, "a.wav"))
    settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=service.endpoint.url))
    transcriber = Transcriber(settings, SpeechClient(settings.speech, service.clock), DECODERS)
    for clips in (2, 3, 4):
        recording = Pcm((SPEECH + PAUSE) * clips)
        before = len(service.sent_seconds)
        announce = lambda before=before: sent.append(len(service.sent_seconds) - before)  # noqa: E731
        transcriber.transcribe(recording, options, Usage(), requester, Memory(), announce)
    assert sent == [0, 0]
