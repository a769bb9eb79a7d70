"""A clip's requests are sent one at a time, and known answers are not requested."""

import zlib

import pytest

from local.speech import Fault, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.settings import app_settings
from tests.support.sound import murmur
from tests.support.transcribing import Memory
from transcription.clips.clip import Clip
from transcription.clock import Budget
from transcription.errors import Exhausted, Misconfigured, Refused, TooLong
from transcription.recognition.plan import assess_pronunciation, recognize
from transcription.recognition.task import ClipTask, Sending
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.turns import Requester
from transcription.storage.uploads import LONG_AGO
from transcription.transcript.answered import Answered
from transcription.transcript.model import Usage

SAMPLES = 16_000 * 5
CLIP = Clip(32_000, murmur(5.0), ((32_000, 32_000 + SAMPLES),))


@pytest.fixture
def sending(endpoint: SpeechEndpoint, clock: FakeClock) -> Sending:
    settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=endpoint.url))
    requester = Requester(LONG_AGO, Budget(clock, 600, "a.wav"))
    speech, options = SpeechClient(settings.speech, clock), RecognitionOptions("en-US", "masked")
    return Sending(speech, "wav", options, Usage(), requester, Memory())


def task(sending: Sending) -> ClipTask:
    return ClipTask(sending, recognize(CLIP, lambda _: True), 0)


def partial(endpoint: SpeechEndpoint) -> None:
    """Let the next answer cover two of five seconds."""
    answer = {"RecognitionStatus": "Success", "Offset": 0, "Duration": 2 * 10**7, "DisplayText": "First."}
    endpoint.faults.append(Fault.document(answer))


def test_each_call_sends_one_request(sending: Sending, endpoint: SpeechEndpoint) -> None:
    partial(endpoint)
    clip = task(sending)
    assert clip.send() is True
    assert len(endpoint.received) == 1
    assert clip.send() is False
    assert [phrase.text for phrase in clip.result.result(0).phrases] == ["First.", "Hello world."]


def test_a_refused_request_can_be_sent_again(sending: Sending, endpoint: SpeechEndpoint) -> None:
    endpoint.faults.append(Fault.status(429))
    clip = task(sending)
    with pytest.raises(Refused):
        clip.send()
    assert clip.send() is False
    assert (sending.usage.requests, sending.usage.retries, sending.usage.audio_seconds) == (2, 1, 5.0)


def test_an_answer_is_kept_with_its_audio_and_all_its_tries(sending: Sending, endpoint: SpeechEndpoint) -> None:
    endpoint.faults.append(Fault.status(429))
    clip = task(sending)
    with pytest.raises(Refused):
        clip.send()
    clip.send()
    assert isinstance(sending.known, Memory)
    (answered,) = sending.known.answers.values()
    assert (answered.start, answered.end, answered.crc) == (32_000, 32_000 + SAMPLES, zlib.crc32(CLIP.pcm))
    assert answered.connection_ids == tuple(request.query["X-ConnectionId"] for request in endpoint.received)


def test_known_answers_are_not_requested_and_count_as_before(sending: Sending, endpoint: SpeechEndpoint) -> None:
    partial(endpoint)
    clip = task(sending)
    while clip.send():
        pass
    again = Sending(sending.speech, "wav", sending.options, Usage(), sending.requester, sending.known)
    replayed = task(again)
    assert replayed.result.done()
    assert len(endpoint.received) == 2
    assert replayed.result.result(0) == clip.result.result(0)
    assert (again.usage.connection_ids, again.usage.audio_seconds) == (
        sending.usage.connection_ids,
        sending.usage.audio_seconds,
    )


def test_a_known_answer_to_other_samples_is_not_used(sending: Sending, endpoint: SpeechEndpoint) -> None:
    body = b'{"RecognitionStatus": "Success", "Offset": 0, "Duration": 50000000, "DisplayText": "Wrong."}'
    sending.known.add(Answered(32_000, 32_000 + SAMPLES, zlib.crc32(CLIP.pcm) ^ 1, ("a" * 32,), body))
    clip = task(sending)
    clip.send()
    assert [phrase.text for phrase in clip.result.result(0).phrases] == ["Hello world."]


@pytest.mark.parametrize("body", [b"", b"{", b'{"RecognitionStatus": "Error"}'])
def test_a_known_answer_that_cannot_be_read_is_requested_again(
    sending: Sending, endpoint: SpeechEndpoint, body: bytes
) -> None:
    sending.known.add(Answered(32_000, 32_000 + SAMPLES, zlib.crc32(CLIP.pcm), ("a" * 32,), body))
    clip = task(sending)
    assert not clip.result.done()
    clip.send()
    assert len(endpoint.received) == 1
    assert sending.usage.requests == 1


def test_a_refused_key_stops_the_recording_and_leaves_gaps(sending: Sending, endpoint: SpeechEndpoint) -> None:
    endpoint.faults.append(Fault.status(401))
    clip = task(sending)
    with pytest.raises(Misconfigured) as refused:
        clip.send()
    assert sending.requester.stopped_by is refused.value
    clip.fail(refused.value)
    result = clip.result.result(0)
    assert (result.error, [gap.reason for gap in result.gaps]) == (refused.value, ["Configuration"])


def test_any_other_error_is_the_result(sending: Sending) -> None:
    clip = task(sending)
    clip.fail(TooLong("two hours"))
    with pytest.raises(TooLong):
        clip.result.result(0)


def test_an_assessment_whose_key_was_refused_ends_with_the_error(sending: Sending) -> None:
    clip = ClipTask(sending, assess_pronunciation(CLIP), 0)
    clip.fail(Misconfigured("wrong key"))
    with pytest.raises(Misconfigured):
        clip.result.result(0)


@pytest.mark.parametrize(
    ("failed", "new_answers", "wait", "is_gap"),
    [(True, 0, 50, True), (False, 0, 50, False), (True, 1, 50, False), (True, 0, 7200, False)],
)
def test_a_clip_that_fails_again_at_the_last_try_is_a_gap(
    sending: Sending, failed: bool, new_answers: int, wait: float, is_gap: bool
) -> None:
    sending.requester.last_try, sending.requester.failed = True, failed
    for _ in range(new_answers):
        sending.usage.answered(1.0)
    clip = task(sending)
    clip.fail(Exhausted("late", wait))
    if is_gap:
        assert [gap.reason for gap in clip.result.result(0).gaps] == ["Abandoned"]
    else:
        assert isinstance(clip.result.exception(0), Exhausted)
