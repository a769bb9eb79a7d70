"""Whole jobs on Azurite: single ones, many at once, long ones."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import requests
from azure.storage.blob import BlobServiceClient

from bench.children import KEY, Latency, python, speech_service
from bench.environment import Environment, NetworkCounter
from bench.recordings import (
    HOUR_MINUTES,
    LONG_MINUTES,
    MINUTE,
    SHORT_MINUTES,
    coded,
    talk,
    wav,
    with_long_pauses,
    without_pauses,
)
from bench.results import Row, milliseconds, ratios
from bench.sender import HEADERS, RECOGNITION, WAV_HEADER_BYTES
from local.azurite import Azurite
from local.progress import say
from local.speech import Received
from local.speech.process import SpeechProcess
from tests.support.recordings import DECODERS
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.audio.recording import open_recording
from transcription.clips.cutting import CUTTING_DEFAULTS

SERVICE_SECONDS = 0.2  # the service's time for a single job; subtracted from the result
PAIRS = 21
TYPICAL = Latency(fixed=1.0, share=0.1)
IN_FLIGHT = 8
UPLOADS, UPLOADS_IN_FLIGHT, UPLOAD_SECONDS, MANY_ROUNDS = 128, 64, 6.0, 3


def rows(azurite: Azurite) -> Iterator[Row]:
    with speech_service(Latency(SERVICE_SECONDS)) as service, Environment.create(azurite, service) as environment:
        yield from single(environment, service)
        yield connections(environment)
    with speech_service(TYPICAL) as service, Environment.create(azurite, service) as environment:
        yield from ten_minutes(environment, service)
    with speech_service(Latency(1.0)) as service, Environment.create(azurite, service) as environment:
        yield many(environment)
    with speech_service(Latency()) as service, Environment.create(azurite, service) as environment:
        yield first_clip(environment, service)
        yield memory(environment)
        yield seconds_sent(environment)


def single(environment: Environment, service: SpeechProcess) -> Iterator[Row]:
    """Measure jobs of one minute, in turns with the least work that gives the same."""
    content = wav(without_pauses(MINUTE))
    job, straight = environment.new_job(), Straight(environment, service)
    ours, theirs = [], []
    say(f"  {PAIRS} jobs of a minute, in turns with the same written straight")
    for number in range(PAIRS + 1):
        for kind in ("ours", "straight"):
            environment.upload(f"{kind}-{number}.wav", content)
        ours.append(environment.run(job, f"ours-{number}.wav") - SERVICE_SECONDS)
        theirs.append(straight.run(f"straight-{number}.wav") - SERVICE_SECONDS)
    ours, theirs = ours[1:], theirs[1:]  # the first ones open connections
    what = "whole job, 60 s WAV on Azurite, beyond the service's own time"
    against = "download, one POST, upload, written straight"
    yield Row(what, against, milliseconds(ours), milliseconds(theirs), ratios(ours, theirs), "×", 1.3)
    yield Row(f"{what}: median", "–", milliseconds(ours), "", [1000 * seconds for seconds in ours], "ms", 60)


class Straight:
    """The least work that makes a transcript: no checks, cuts, retries or conditions. It reuses its connections too."""

    def __init__(self, environment: Environment, service: SpeechProcess) -> None:
        storage = BlobServiceClient.from_connection_string(environment.settings["AudioStorage"])
        self._audio = storage.get_container_client(environment.audio.container_name)
        self._transcripts = storage.get_container_client(environment.transcripts.container_name)
        self._session = requests.Session()
        self._session.headers.update({**HEADERS, "Ocp-Apim-Subscription-Key": KEY})
        self._url = f"{service.url}{RECOGNITION}?language=en-US&format=detailed"

    def run(self, name: str) -> float:
        """Transcribe one upload, and return the seconds that it took."""
        started = time.perf_counter()
        content = self._audio.download_blob(name).readall()
        answer = self._session.post(self._url, data=iter([content]), timeout=60)  # an iterator is sent in chunks
        answer.raise_for_status()
        self._transcripts.upload_blob(f"{name}.json", answer.content)
        return time.perf_counter() - started


def connections(environment: Environment) -> Row:
    """Count the connections that jobs open.

    Raises RuntimeError if the first job opened none, because then the count is wrong.
    """
    counter, job, content = NetworkCounter(), environment.new_job(), wav(without_pauses(MINUTE))
    environment.upload("one.wav", content)
    environment.upload("two.wav", content)
    opened = []
    for name in ("one.wav", "two.wav"):
        before = counter.connections
        job.run(environment.audio.container_name, name)
        opened.append(counter.connections - before)
        environment.check(name)
    first, second = opened
    if not first:
        raise RuntimeError("no connection was counted")
    what = "connections opened by the second job in a process"
    return Row(what, "the first job", f"{second}", f"{first}", [second], "", 0)


def ten_minutes(environment: Environment, service: SpeechProcess) -> Iterator[Row]:
    for what, pcm, target in (
        ("ten-minute recording, 1 s + 0.1 × audio an answer, 8 in flight", talk(10 * MINUTE).pcm, 1.1),
        ("the same where nobody pauses (clips of a minute)", without_pauses(10 * MINUTE), None),
    ):
        say(f"  {what}")
        name = f"{len(what)}.wav"
        environment.upload(name, wav(pcm))
        earlier = len(service.received())
        seconds = environment.run(environment.new_job(SPEECH_MAX_CONCURRENT_REQUESTS=f"{IN_FLIGHT}"), name)
        waits = [TYPICAL.of(audio_seconds(request)) for request in service.received()[earlier:]]
        least = max(*waits, sum(waits) / IN_FLIGHT)
        yield Row(
            what,
            f"max(longest clip, total ÷ {IN_FLIGHT}); clip after clip: {sum(waits):.0f} s at least",
            f"{seconds:.2f} s, {len(waits)} clips",
            f"{least:.2f} s",
            [seconds / least],
            "×",
            target,
        )


def audio_seconds(request: Received) -> float:
    return (request.size - WAV_HEADER_BYTES) / BYTES_PER_SECOND


def many(environment: Environment) -> Row:
    content = wav(without_pauses(UPLOAD_SECONDS))
    job = environment.new_job(SPEECH_MAX_CONCURRENT_REQUESTS=f"{UPLOADS_IN_FLIGHT}")
    durations, cpu = [], []
    for number in range(MANY_ROUNDS):
        say(f"  {UPLOADS} uploads, {UPLOADS_IN_FLIGHT} in flight: {number + 1} of {MANY_ROUNDS}")
        names = [f"{number}-{upload}.wav" for upload in range(UPLOADS)]
        for name in names:
            environment.upload(name, content)
        with ThreadPoolExecutor(UPLOADS) as pool:
            cpu_before, started = time.process_time(), time.perf_counter()
            list(pool.map(partial(job.run, environment.audio.container_name), names))
            durations.append(time.perf_counter() - started)
            cpu.append((time.process_time() - cpu_before) / UPLOADS)
        for name in names:
            environment.check(name)
    ideal = UPLOADS / UPLOADS_IN_FLIGHT
    return Row(
        f"{UPLOADS} uploads, {UPLOADS_IN_FLIGHT} in flight, the service takes 1 s",
        "ideal",
        f"{median(durations):.2f} s, {milliseconds(cpu)} CPU each",
        f"{ideal:.2f} s",
        [100 * ideal / seconds for seconds in durations],
        "%",
        85,
        at_least=True,
    )


def first_clip(environment: Environment, service: SpeechProcess) -> Row:
    """Measure the time from the start of the job to its first request. The decoder is already loaded."""
    file = coded("m4a", HOUR_MINUTES)
    say("  one hour of m4a")
    started = time.perf_counter()
    with file.open("rb") as stream:
        for _ in open_recording(stream, file.stat().st_size, DECODERS, lambda: None).blocks():
            pass
    whole = time.perf_counter() - started
    environment.upload("hour.m4a", file.read_bytes())
    earlier, started = len(service.received()), time.monotonic()
    environment.run(environment.new_job(), "hour.m4a")
    first = min(request.started for request in service.received()[earlier:]) - started
    return Row(
        "one-hour m4a: time until the first clip is sent",
        "time to decode the whole file",
        f"{first:.2f} s",
        f"{whole:.2f} s",
        [first / whole],
        "×",
        0.1,
    )


def memory(environment: Environment) -> Row:
    """Measure the peak memory of processes that run one job each, with their decoders."""
    peaks = []
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        say(f"  memory for {minutes:g} minutes")
        name = f"{minutes:g}.m4a"
        environment.upload(name, coded("m4a", minutes).read_bytes())
        peak = python("-m", "bench.app_process", name, environment=environment.settings).output
        peaks.append(int(peak) / 1e6)
        environment.check(name)
    short, long = peaks
    what = "peak memory, 2 h m4a beyond that of a 2 min m4a"
    return Row(what, "the 2 min m4a", f"{long:.0f} MB", f"{short:.0f} MB", [long - short], "MB", 30)


def seconds_sent(environment: Environment) -> Row:
    recording = with_long_pauses(10 * MINUTE)
    pause = CUTTING_DEFAULTS.pause_seconds
    speech = sum(end - start for start, end in recording.runs(pause))
    environment.upload("pauses.wav", wav(recording.pcm))
    environment.run(environment.new_job(), "pauses.wav")
    sent = environment.document("pauses.wav")["recognition"]["audioSecondsSent"]
    return Row(
        "seconds sent for a recording with long pauses",
        f"seconds of speech in it, with pauses below {pause:g} s; the whole file has {recording.seconds:.0f}",
        f"{sent:.0f} s",
        f"{speech:.0f} s",
        [sent / speech],
        "×",
        1.15,
    )
