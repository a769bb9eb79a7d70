"""The recognition of one clip: audio that is sent again, gaps, and errors that end the sending."""

from itertools import pairwise

import pytest

from local.speech import Fault, Script, SpeechEndpoint, Word
from tests.support.clock import FakeClock
from tests.support.settings import SPEECH_KEY
from tests.support.sound import murmur
from tests.support.transcribing import FOUR_CLIPS, PAUSE, SPEECH, Service
from tests.support.words import hello_world
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.errors import Exhausted, Misconfigured
from transcription.recognition.plan import NOISE_RESEND_SECONDS, NOISE_RESEND_SHARE, PROBE_SECONDS


@pytest.fixture
def service(endpoint: SpeechEndpoint, clock: FakeClock) -> Service:
    return Service(endpoint, clock)


def test_audio_that_an_answer_leaves_out_is_sent_again(service: Service) -> None:
    service.answer_next("Success", 2.0, DisplayText="First.")
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["First.", "Hello world."]
    assert transcript.gaps == ()
    assert service.sent_seconds[1] < service.sent_seconds[0] - 1.5


def test_an_answer_that_gets_nowhere_leaves_a_gap(service: Service) -> None:
    for _ in range(100):
        service.answer_next("Success", 0.1, DisplayText="Er.")
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    (gap,) = transcript.gaps
    assert (transcript.status, gap.reason, len(service.sent_seconds)) == ("Partial", "NotCovered", 1)
    assert gap.offset + gap.duration == pytest.approx(7.0, abs=0.3)


def test_speech_without_words_is_a_gap_at_its_place(service: Service) -> None:
    service.answer_next("NoMatch", 5.3)
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    (gap,) = transcript.gaps
    assert (transcript.status, gap.reason, len(transcript.phrases)) == ("Partial", "NoMatch", 3)
    assert gap.offset == pytest.approx(2.0, abs=0.3)
    assert gap.duration == pytest.approx(5.0, abs=0.5)


@pytest.mark.parametrize("status", ["BabbleTimeout", "InitialSilenceTimeout"])
def test_noise_leaves_no_gap(service: Service, status: str) -> None:
    service.answer_next(status, 5.3)
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert (transcript.status, len(transcript.phrases), len(service.sent_seconds)) == ("Succeeded", 3, 4)


def test_speech_after_noise_that_ended_the_recognition_is_found(service: Service) -> None:
    service.answer_next("InitialSilenceTimeout", 5.0)
    transcript = service.transcribe(PAUSE + murmur(12.0) + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["Hello world."]
    assert transcript.phrases[0].offset == pytest.approx(7.0, abs=0.4)


def test_long_audio_after_noise_is_probed_first_and_then_sent_whole(clock: FakeClock) -> None:
    """Nine seconds of noise, then speech without a pause; the service gives up at five seconds of noise."""

    def speech_after_noise(pcm: bytes, language: str) -> list[Word]:
        seconds = len(pcm) / BYTES_PER_SECOND
        is_probe = seconds < 13
        noise = 3.0 if is_probe else max(0.0, seconds - 21.0)  # the speech is the last 21 of 30 seconds
        return [Word("word", noise + 0.1, seconds - noise - 0.2)]

    with SpeechEndpoint(Script(speech_after_noise), key=SPEECH_KEY) as endpoint:
        service = Service(endpoint, clock)
        transcript = service.transcribe(murmur(30.0) + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["Word."]
    assert transcript.gaps == ()
    assert [round(seconds) for seconds in service.sent_seconds] == [30, 12, 25]


def test_hold_music_is_not_sent_again_and_again(service: Service) -> None:
    for _ in range(1000):
        service.answer_next("BabbleTimeout", 5.0)
    transcript = service.transcribe(murmur(10.0) * 30)
    assert (transcript.status, transcript.gaps) == ("NoSpeech", ())
    assert sum(service.sent_seconds) <= 1.2 * 300


def test_audio_after_noise_is_sent_again_until_the_limit_is_used_up(service: Service) -> None:
    for _ in range(1000):
        service.answer_next("BabbleTimeout", 5.0)
    service.transcribe(murmur(10.0) * 30)
    limit = NOISE_RESEND_SECONDS + NOISE_RESEND_SHARE * 300
    assert sum(service.sent_seconds) - 300 > limit - PROBE_SECONDS


def test_sound_after_the_last_word_is_sent_again_even_if_the_answer_claims_some_of_it(service: Service) -> None:
    words = [{"Word": "first", "Offset": 2 * 10**7, "Duration": 2 * 10**7}]
    times = {"Offset": 2 * 10**7, "Duration": 5 * 10**7}
    answer = {"RecognitionStatus": "Success", **times, "NBest": [{"Display": "First.", "Words": words}]}
    service.endpoint.faults.append(Fault.document(answer))
    service.transcribe(murmur(12.0) + PAUSE)
    assert service.sent_seconds[0] - service.sent_seconds[1] == pytest.approx(4.0, abs=0.1)


def test_removed_profanity_leaves_no_gap(service: Service) -> None:
    service.answer_next("Success", 5.2, DisplayText="")
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert (transcript.status, len(transcript.phrases)) == ("Succeeded", 3)


def test_a_text_without_times_covers_the_whole_clip(service: Service) -> None:
    service.endpoint.faults.append(Fault.document({"RecognitionStatus": "Success", "DisplayText": "All of it."}))
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["All of it."]
    assert transcript.status == "Succeeded"


@pytest.mark.parametrize(
    ("offset", "duration", "word"),
    [(0.2, 500.0, (0.2, 4.8)), (0.2, 5.0, (0.2, 5000.0)), (1e9, 1e9, (1e9, 1e9)), (0.2, 1e290, (0.2, 1e290))],
)
def test_times_beyond_the_clip_do_not_reach_into_the_next(
    service: Service, offset: float, duration: float, word: tuple[float, float]
) -> None:
    times = {"Offset": offset * 1e7, "Duration": duration * 1e7}
    words = [{"Word": "odd", "Offset": word[0] * 1e7, "Duration": word[1] * 1e7}]
    odd = {"RecognitionStatus": "Success", **times, "NBest": [{"Display": "Odd.", "Words": words}]}
    service.endpoint.faults.append(Fault.document(odd))
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert [phrase.text for phrase in transcript.phrases] == ["Odd.", *["Hello world."] * 3]
    for before, after in pairwise(transcript.phrases):
        assert before.end <= after.offset


def test_a_clip_that_the_service_refuses_does_not_fail_the_others(service: Service) -> None:
    service.endpoint.faults.append(Fault.status(400, b"bad audio"))
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert [gap.reason for gap in transcript.gaps] == ["RequestRefused"]
    assert (transcript.status, len(transcript.phrases), transcript.error) == ("Partial", 3, None)


def test_only_a_failed_request_is_sent_twice(service: Service) -> None:
    service.endpoint.faults.extend([Fault.none(), Fault.status(503), Fault.reset()])
    assert service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1").status == "Succeeded"
    assert len(service.sent_seconds) == 6


def test_no_more_clips_are_sent_once_the_key_is_refused(service: Service) -> None:
    with pytest.raises(Misconfigured):
        service.transcribe((SPEECH + PAUSE) * 30, AZURE_SPEECH_KEY="wrong", SPEECH_MAX_CONCURRENT_REQUESTS="2")
    assert len(service.sent_seconds) <= 2


def test_no_more_clips_are_sent_once_the_budget_is_spent(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(503)] * 1000)
    with pytest.raises(Exhausted):
        service.transcribe((SPEECH + PAUSE) * 30, budget=30, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert len(service.sent_seconds) < 10


def test_ogg_is_sent_if_the_settings_say_so(service: Service) -> None:
    assert service.transcribe(FOUR_CLIPS, SPEECH_AUDIO_FORMAT="ogg").status == "Succeeded"
    for request in service.endpoint.received:
        assert request.headers["content-type"] == "audio/ogg; codecs=opus"
        assert len(request.audio) < 0.25 * 5.35 * BYTES_PER_SECOND


def test_hello_world_covers_its_clip() -> None:
    """The tests above rely on it: the endpoint leaves nothing out unless a test asks for that."""
    hello, world = hello_world(SPEECH, "en-US")
    assert hello.start == pytest.approx(0.1)
    assert world.end == pytest.approx(4.9)
    assert hello.end == world.start
