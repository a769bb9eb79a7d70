"""A recording's way through the service: what is sent, what is sent again, and what becomes of failures."""

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from local.speech import Fault, Script, SpeechEndpoint, Word
from tests.support.clock import FakeClock
from tests.support.settings import SPEECH_KEY, app_settings
from tests.support.sound import murmur
from tests.support.transcribing import Pcm
from tests.support.words import hello_world
from transcription.clock import Budget, SystemClock
from transcription.errors import Exhausted, Misconfigured, NothingRecognized, RequestRefused, TooLong
from transcription.ordered_map import ordered_map
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.transcriber import Transcriber
from transcription.transcript.model import Transcript, Usage

PAUSE = bytes(64_000)  # two seconds
SPEECH = murmur(5.0)
FOUR_CLIPS = PAUSE + (SPEECH + PAUSE) * 4
STARTS = [2.0, 9.0, 16.0, 23.0]


class Service:
    """A transcriber and its endpoint."""

    def __init__(self, endpoint: SpeechEndpoint, clock: FakeClock) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self.usage = Usage()

    def transcribe(self, pcm: bytes, budget: float = 600, duration: float | None = None, **changes: str) -> Transcript:
        settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=self.endpoint.url, **changes))
        transcriber = Transcriber(settings, SpeechClient(settings.speech, self.clock))
        recording = Pcm(pcm, duration=duration)
        asked = RecognitionOptions("en-US", "masked")
        return transcriber.transcribe(recording, asked, self.usage, Budget(self.clock, budget, "a.wav"))

    def answer(self, status: str, seconds: float, **more: Any) -> None:
        """The next answer: so, and covering so many seconds."""
        ticks = round(seconds * 1e7)
        self.endpoint.faults.append(
            Fault.document({"RecognitionStatus": status, "Offset": 0, "Duration": ticks, **more})
        )

    @property
    def seconds(self) -> list[float]:
        """The audio of each request."""
        return [(len(request.audio) - 44) / 32_000 for request in self.endpoint.received]


@pytest.fixture
def service(endpoint: SpeechEndpoint, clock: FakeClock) -> Service:
    return Service(endpoint, clock)


def test_each_stretch_of_speech_is_a_clip_and_times_are_the_recordings(service: Service) -> None:
    transcript = service.transcribe(FOUR_CLIPS)
    assert (transcript.status, transcript.duration) == ("Succeeded", 30.0)
    assert [phrase.text for phrase in transcript.phrases] == ["Hello world."] * 4
    for phrase, start in zip(transcript.phrases, STARTS, strict=True):
        assert phrase.offset == pytest.approx(start, abs=0.3)
        assert phrase.words[0].offset == phrase.offset
    assert all(seconds < 6 for seconds in service.seconds), "silence is not sent"


def test_results_are_in_order_whatever_the_order_of_the_answers(clock: FakeClock) -> None:
    arrivals: list[int] = []
    lock = threading.Lock()

    def slow_first(pcm: bytes, language: str) -> list[Word]:
        with lock:
            arrivals.append(len(arrivals))
            mine = arrivals[-1]
        threading.Event().wait(0.3 - 0.1 * mine)
        return [Word(f"clip{len(pcm) // 32_000}", 0.2, len(pcm) / 32_000 - 0.4)]

    pcm = PAUSE + b"".join(murmur(seconds) + PAUSE for seconds in (7.0, 5.0, 3.0))
    with SpeechEndpoint(Script(slow_first), key=SPEECH_KEY) as endpoint:
        transcript = Service(endpoint, clock).transcribe(pcm)
        assert endpoint.connections == 3, "they go out side by side"
    assert [phrase.text for phrase in transcript.phrases] == ["Clip7.", "Clip5.", "Clip3."]


def test_what_an_answer_leaves_out_is_sent_again_until_it_is_covered(service: Service) -> None:
    service.answer("Success", 2.0, DisplayText="First.")
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["First.", "Hello world."]
    assert transcript.gaps == ()
    assert service.seconds[1] < service.seconds[0] - 1.5


def test_a_service_that_gets_nowhere_leaves_a_gap(service: Service) -> None:
    for _ in range(100):
        service.answer("Success", 0.1, DisplayText="Er.")
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    (gap,) = transcript.gaps
    assert (transcript.status, gap.reason, len(service.seconds)) == ("Partial", "NotCovered", 1)
    assert gap.offset + gap.duration == pytest.approx(7.0, abs=0.3)


def test_speech_without_words_is_a_gap_where_it_was(service: Service) -> None:
    service.answer("NoMatch", 5.3)
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    (gap,) = transcript.gaps
    assert (transcript.status, gap.reason, len(transcript.phrases)) == ("Partial", "NoMatch", 3)
    assert gap.offset == pytest.approx(2.0, abs=0.3)
    assert gap.duration == pytest.approx(5.0, abs=0.5)


def test_speech_everywhere_and_words_nowhere_says_to_check_the_language(service: Service) -> None:
    for _ in range(4):
        service.answer("NoMatch", 5.3)
    with pytest.raises(NothingRecognized, match=r"en-US.*Check the language"):
        service.transcribe(FOUR_CLIPS)


@pytest.mark.parametrize("status", ["BabbleTimeout", "InitialSilenceTimeout"])
def test_noise_is_no_gap(service: Service, status: str) -> None:
    service.answer(status, 5.3)
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert (transcript.status, len(transcript.phrases), len(service.seconds)) == ("Succeeded", 3, 4)


def test_speech_behind_noise_that_ended_the_recognition_is_found(service: Service) -> None:
    service.answer("InitialSilenceTimeout", 5.0)
    transcript = service.transcribe(PAUSE + murmur(12.0) + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["Hello world."]
    assert transcript.phrases[0].offset == pytest.approx(7.0, abs=0.4)


def test_hold_music_is_not_sent_again_and_again(service: Service) -> None:
    for _ in range(1000):
        service.answer("BabbleTimeout", 5.0)
    transcript = service.transcribe(murmur(10.0) * 30)
    assert (transcript.status, transcript.gaps) == ("NoSpeech", ())
    assert sum(service.seconds) <= 1.2 * 300


def test_profanity_that_was_removed_is_no_gap(service: Service) -> None:
    service.answer("Success", 5.2, DisplayText="")
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert (transcript.status, len(transcript.phrases)) == ("Succeeded", 3)


def test_a_clip_that_the_service_refuses_does_not_fail_the_others(service: Service) -> None:
    service.endpoint.faults.append(Fault.status(400, b"bad audio"))
    transcript = service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert [gap.reason for gap in transcript.gaps] == ["RequestRefused"]
    assert (transcript.status, len(transcript.phrases), transcript.error) == ("Partial", 3, None)


def test_where_every_clip_is_refused_there_is_no_transcript(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(400, b"bad audio")] * 4)
    with pytest.raises(RequestRefused, match="bad audio"):
        service.transcribe(FOUR_CLIPS)


def test_what_was_answered_before_the_budget_was_gone_is_kept_and_the_rest_can_be_tried_again(service: Service) -> None:
    service.endpoint.faults.extend([Fault.none(), Fault.none(), *[Fault.status(503)] * 100])
    transcript = service.transcribe(FOUR_CLIPS, budget=60, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert (transcript.status, len(transcript.phrases)) == ("Partial", 2)
    assert [gap.reason for gap in transcript.gaps] == ["Exhausted"] * 2
    assert isinstance(transcript.error, Exhausted)


def test_without_any_answer_there_is_no_transcript(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(503)] * 100)
    with pytest.raises(Exhausted):
        service.transcribe(FOUR_CLIPS, budget=60)


def test_a_failed_request_is_the_only_one_that_is_paid_for_twice(service: Service) -> None:
    service.endpoint.faults.extend([Fault.none(), Fault.status(503), Fault.reset()])
    assert service.transcribe(FOUR_CLIPS, SPEECH_MAX_CONCURRENT_REQUESTS="1").status == "Succeeded"
    assert len(service.seconds) == 6


def test_once_the_key_is_refused_no_more_clips_are_sent(service: Service) -> None:
    with pytest.raises(Misconfigured):
        service.transcribe((SPEECH + PAUSE) * 30, AZURE_SPEECH_KEY="wrong", SPEECH_MAX_CONCURRENT_REQUESTS="2")
    assert len(service.seconds) <= 2


@pytest.mark.parametrize("declared", [None, 61.0, 1e12])
def test_a_recording_over_the_limit_is_refused_whatever_it_says(service: Service, declared: float | None) -> None:
    with pytest.raises(TooLong, match="1 minutes"):
        service.transcribe(murmur(2.0) * 31, duration=declared, MAX_AUDIO_MINUTES="1")


def test_a_limit_that_the_file_says_it_breaks_costs_nothing(service: Service) -> None:
    with pytest.raises(TooLong):
        service.transcribe(FOUR_CLIPS, duration=9999.0, MAX_AUDIO_MINUTES="1")
    assert service.seconds == []


def test_the_log_tells_how_far_a_long_recording_is(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service.transcribe((SPEECH + PAUSE) * 30, duration=210.0)
    tenths = [record.message for record in caplog.records if ": transcribed " in record.message]
    assert len(tenths) == 10 or len(tenths) == 9
    assert all(" of 3:30 (" in line for line in tenths)


def test_a_short_recording_is_not_worth_a_progress_line(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    service.transcribe(FOUR_CLIPS, duration=30.0)
    assert "transcribed" not in caplog.text


def test_ogg_is_sent_where_it_is_asked_for(service: Service) -> None:
    assert service.transcribe(FOUR_CLIPS, SPEECH_AUDIO_FORMAT="ogg").status == "Succeeded"
    for request in service.endpoint.received:
        assert request.headers["content-type"] == "audio/ogg; codecs=opus"
        assert len(request.audio) < 0.25 * 5.35 * 32_000


def test_a_long_rest_behind_noise_is_probed_first_and_then_sent_whole(clock: FakeClock) -> None:
    """Nine seconds of noise, then speech without a pause; the service gives up at five seconds of noise."""

    def heard(pcm: bytes, language: str) -> list[Word]:
        noise = max(0.0, 9.0 - (30.0 - len(pcm) / 32_000))  # what a clip that ends with the recording has of it
        if len(pcm) / 32_000 < 13:
            noise = 3.0
        return [Word("word", noise + 0.1, len(pcm) / 32_000 - noise - 0.2)]

    with SpeechEndpoint(Script(heard), key=SPEECH_KEY) as endpoint:
        service = Service(endpoint, clock)
        transcript = service.transcribe(murmur(30.0) + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["Word."]
    assert transcript.gaps == ()
    assert [round(seconds) for seconds in service.seconds] == [30, 12, 25]


def test_once_the_budget_is_gone_no_more_clips_are_sent(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(503)] * 1000)
    with pytest.raises(Exhausted):
        service.transcribe((SPEECH + PAUSE) * 30, budget=30, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert len(service.seconds) < 10


def test_a_recording_that_fails_does_not_wait_for_its_retries(endpoint: SpeechEndpoint) -> None:
    """On the real clock: a clip waits a minute for its next try while the rest of the file turns out to be too long."""
    endpoint.faults.append(Fault.status(503, headers={"Retry-After": "60"}))
    clock = SystemClock()
    settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint.url, MAX_AUDIO_MINUTES="1"))
    transcriber = Transcriber(settings, SpeechClient(settings.speech, clock))
    started = clock.monotonic()
    with pytest.raises(TooLong):
        transcriber.transcribe(
            Pcm((SPEECH + PAUSE) * 9), RecognitionOptions("en-US", "masked"), Usage(), Budget(clock, 600, "a.wav")
        )
    assert clock.monotonic() - started < 20


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


def test_a_text_without_times_is_taken_for_the_whole_clips(service: Service) -> None:
    service.endpoint.faults.append(Fault.document({"RecognitionStatus": "Success", "DisplayText": "All of it."}))
    transcript = service.transcribe(PAUSE + SPEECH + PAUSE)
    assert [phrase.text for phrase in transcript.phrases] == ["All of it."]
    assert transcript.status == "Succeeded"


@pytest.mark.parametrize("kind", ["simple", "detailed"])
def test_words_said_twice_in_clips_that_share_no_sound_are_kept_twice(clock: FakeClock, kind: str) -> None:
    def boats(pcm: bytes, language: str) -> list[Word]:
        third = len(pcm) / 96_000
        return [Word(text, third * n + 0.05, third - 0.1) for n, text in enumerate(("the", "boats", "the"))]

    with SpeechEndpoint(Script(boats), key=SPEECH_KEY) as endpoint:
        endpoint.faults.extend([Fault.none(), Fault.status(400)])
        service = Service(endpoint, clock)
        transcript = service.transcribe(FOUR_CLIPS, SPEECH_FORMAT=kind, SPEECH_MAX_CONCURRENT_REQUESTS="1")
    assert [phrase.text for phrase in transcript.phrases] == ["The boats the."] * 3


def test_gaps_of_clips_that_share_sound_do_not_overlap(service: Service) -> None:
    service.endpoint.faults.extend([Fault.status(400)] * 2)
    transcript = service.transcribe(murmur(150.0), SPEECH_MAX_CONCURRENT_REQUESTS="1")
    first, second = transcript.gaps
    assert first.offset + first.duration <= second.offset + 0.05


class Workshop:
    """Items that are made as they are asked for, and work that waits to be let go."""

    def __init__(self) -> None:
        self.made = 0

    def items(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.made += 1
            yield number


def test_a_stream_is_read_only_as_far_ahead_as_is_held() -> None:
    workshop = Workshop()
    gates = [threading.Event() for _ in range(100)]

    def work(number: int) -> int:
        gates[number].wait()
        return number

    results = ordered_map(work, workshop.items(100), workers=4, held=6, abandon=lambda: None)
    for number in range(50):
        gates[number].set()
        assert next(results) == number
        assert workshop.made <= number + 6
    for gate in gates:
        gate.set()
    results.close()  # type: ignore[attr-defined]


def test_a_slow_item_holds_up_no_work() -> None:
    last_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            last_is_done.wait()
        if number == 49:
            last_is_done.set()
        return number

    assert list(ordered_map(work, range(50), workers=2, held=4, abandon=lambda: None)) == list(range(50))


@pytest.mark.parametrize("broken", [0, 3, 9])
def test_an_error_in_the_work_comes_out_and_ends_the_stream(broken: int) -> None:
    workshop = Workshop()

    def work(number: int) -> int:
        if number == broken:
            raise ValueError(f"broken {number}")
        return number

    with pytest.raises(ValueError, match=f"broken {broken}"):
        list(ordered_map(work, workshop.items(1000), workers=2, held=4, abandon=lambda: None))
    assert workshop.made <= broken + 5


def test_an_error_in_the_stream_comes_out_after_the_work_in_hand() -> None:
    finished: list[int] = []

    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the stream broke")

    work: Callable[[int], None] = finished.append
    with pytest.raises(ValueError, match="the stream broke"):
        list(ordered_map(work, items(), workers=2, held=10, abandon=lambda: None))
    assert sorted(finished) == [0, 1, 2]


def test_work_that_has_not_begun_is_dropped_where_the_stream_breaks() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def items() -> Iterator[int]:
        yield from range(9)
        raise ValueError("the stream broke")

    def work(number: int) -> None:
        begun.append(number)
        go_on.wait()

    hurry = threading.Timer(0.2, go_on.set)
    with pytest.raises(ValueError, match="the stream broke"):
        list(ordered_map(work, items(), workers=2, held=10, abandon=hurry.start))
    assert set(begun) <= {0, 1}


def test_hello_world_covers_its_clip() -> None:
    """The truth the tests above rest on: no answer of the endpoint leaves anything out by itself."""
    hello, world = hello_world(SPEECH, "en-US")
    assert hello.start == pytest.approx(0.1)
    assert world.end == pytest.approx(4.9)
    assert hello.end == world.start
