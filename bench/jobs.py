"""Whole jobs on Azurite: one, many, long ones."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

import requests
from azure.storage.blob import BlobServiceClient

from bench.children import Service, python, service
from bench.environment import Environment, Watched, environment
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
from local.azurite import Azurite
from local.progress import say
from transcription.audio.recording import open_recording
from transcription.clips.cutting import CUTTING_DEFAULTS

SERVICE_SECONDS = 0.2  # of a single job's answer; taken off again
PAIRS = 21
MODEL = (1.0, 0.1)  # what an answer takes: seconds, and seconds for each second of audio
IN_FLIGHT = 8
UPLOADS, UPLOADS_IN_FLIGHT, UPLOAD_SECONDS, MANY_ROUNDS = 128, 64, 6.0, 3


def rows(azurite: Azurite) -> Iterator[Row]:
    with service(SERVICE_SECONDS) as quick, environment(azurite, quick) as there:
        yield from single(there, quick)
        yield connections(there)
    with service(*MODEL) as slow, environment(azurite, slow) as there:
        yield from ten_minutes(there, slow)
    with service(1.0) as second, environment(azurite, second) as there:
        yield many(there)
    with service() as instant, environment(azurite, instant) as there:
        yield first_clip(there, instant)
        yield memory(there)
        yield seconds_sent(there)


def single(there: Environment, quick: Service) -> Iterator[Row]:
    """One minute's job after another, in turn with the same done straight."""
    content = wav(without_pauses(MINUTE))
    work, straight = there.job(), Straight(there, quick)
    ours, theirs = [], []
    say(f"  {PAIRS} jobs of a minute, in turn with the same written straight")
    for number in range(PAIRS + 1):
        for kind in ("ours", "straight"):
            there.upload(f"{kind}-{number}.wav", content)
        ours.append(there.run(work, f"ours-{number}.wav") - SERVICE_SECONDS)
        theirs.append(straight.run(f"straight-{number}.wav") - SERVICE_SECONDS)
    ours, theirs = ours[1:], theirs[1:]  # the first ones open connections
    against = "download, one POST, upload, written straight"
    what = "whole job, 60 s WAV on Azurite, beyond the service's own time"
    yield Row(what, against, milliseconds(ours), milliseconds(theirs), ratios(ours, theirs), "×", 1.3)
    yield Row(f"{what}: median", "–", milliseconds(ours), "", [1000 * seconds for seconds in ours], "ms", 60)


class Straight:
    """The least that a transcript takes: no check, no cut, no retry, no condition; its connections are kept too."""

    def __init__(self, there: Environment, quick: Service) -> None:
        storage = BlobServiceClient.from_connection_string(there.environ["AudioStorage"])
        self._audio = storage.get_container_client(there.audio.container_name)
        self._transcripts = storage.get_container_client(there.transcripts.container_name)
        self._session, self._url = requests.Session(), quick.url

    def run(self, name: str) -> float:
        started = time.perf_counter()
        content = self._audio.download_blob(name).readall()
        answer = self._session.post(self._url, data=content, timeout=60)
        answer.raise_for_status()
        self._transcripts.upload_blob(f"{name}.json", answer.content)
        return time.perf_counter() - started


def connections(there: Environment) -> Row:
    """RuntimeError: none was counted for the first job, which cannot be."""
    counted, work, content = Watched(), there.job(), wav(without_pauses(MINUTE))
    there.upload("one.wav", content)
    there.upload("two.wav", content)
    opened = []
    for name in ("one.wav", "two.wav"):
        before = counted.connections
        work.run(there.audio.container_name, name)
        opened.append(counted.connections - before)
        there.check(name)
    first, second = opened
    if not first:
        raise RuntimeError("no connection was counted")
    what = "connections opened by the second job in a process"
    return Row(what, "the first job", f"{second}", f"{first}", [second], "", 0)


def ten_minutes(there: Environment, slow: Service) -> Iterator[Row]:
    for what, pcm, bar in (
        ("ten-minute recording, 1 s + 0.1 × audio an answer, 8 in flight", talk(10 * MINUTE).pcm, 1.1),
        ("the same where nobody pauses (clips of a minute)", without_pauses(10 * MINUTE), None),
    ):
        say(f"  {what}")
        name = f"{len(what)}.wav"
        there.upload(name, wav(pcm))
        before = len(slow.requests())
        seconds = there.run(there.job(SPEECH_MAX_CONCURRENT_REQUESTS=f"{IN_FLIGHT}"), name)
        waits = [request.waited for request in slow.requests()[before:]]
        least = max(*waits, sum(waits) / IN_FLIGHT)
        yield Row(
            what,
            f"max(longest clip, total ÷ {IN_FLIGHT}); clip after clip: {sum(waits):.0f} s at least",
            f"{seconds:.2f} s, {len(waits)} clips",
            f"{least:.2f} s",
            [seconds / least],
            "×",
            bar,
        )


def many(there: Environment) -> Row:
    content = wav(without_pauses(UPLOAD_SECONDS))
    work = there.job(SPEECH_MAX_CONCURRENT_REQUESTS=f"{UPLOADS_IN_FLIGHT}")
    taken, cpu = [], []
    for number in range(MANY_ROUNDS):
        say(f"  {UPLOADS} uploads, {UPLOADS_IN_FLIGHT} in flight: {number + 1} of {MANY_ROUNDS}")
        names = [f"{number}-{upload}.wav" for upload in range(UPLOADS)]
        for name in names:
            there.upload(name, content)
        with ThreadPoolExecutor(UPLOADS) as pool:
            cpu_before, started = time.process_time(), time.perf_counter()
            list(pool.map(partial(work.run, there.audio.container_name), names))
            taken.append(time.perf_counter() - started)
            cpu.append((time.process_time() - cpu_before) / UPLOADS)
        for name in names:
            there.check(name)
    ideal = UPLOADS / UPLOADS_IN_FLIGHT
    return Row(
        f"{UPLOADS} uploads, {UPLOADS_IN_FLIGHT} in flight, the service takes 1 s",
        "ideal",
        f"{median(taken):.2f} s, {milliseconds(cpu)} CPU each",
        f"{ideal:.2f} s",
        [100 * ideal / seconds for seconds in taken],
        "%",
        85,
        at_least=True,
    )


def first_clip(there: Environment, instant: Service) -> Row:
    """From the beginning of the job to the first byte of the first request; the decoder is loaded already."""
    file = coded("m4a", HOUR_MINUTES)
    say("  one hour of m4a")
    started = time.perf_counter()
    with file.open("rb") as stream:
        for _ in open_recording(stream, file.stat().st_size).blocks():
            pass
    whole = time.perf_counter() - started
    there.upload("hour.m4a", file.read_bytes())
    before, started = len(instant.requests()), time.monotonic()
    there.run(there.job(), "hour.m4a")
    first = min(request.began for request in instant.requests()[before:]) - started
    return Row(
        "one-hour m4a: time until the first clip is sent",
        "time to decode the whole file",
        f"{first:.2f} s",
        f"{whole:.2f} s",
        [first / whole],
        "×",
        0.1,
    )


def memory(there: Environment) -> Row:
    """Of a process that does one job."""
    peaks = []
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        say(f"  memory for {minutes:g} minutes")
        name = f"{minutes:g}.m4a"
        there.upload(name, coded("m4a", minutes).read_bytes())
        peak = python("-m", "bench.one_job", name, environment=there.environ).output
        peaks.append(int(peak) / 1e6)
        there.check(name)
    short, long = peaks
    what = "peak memory, 2 h m4a beyond that of a 2 min m4a"
    return Row(what, "the 2 min m4a", f"{long:.0f} MB", f"{short:.0f} MB", [long - short], "MB", 30)


def seconds_sent(there: Environment) -> Row:
    recording = with_long_pauses(10 * MINUTE)
    pause = CUTTING_DEFAULTS.pause_seconds
    speech = sum(end - start for start, end in recording.runs(pause))
    there.upload("pauses.wav", wav(recording.pcm))
    there.run(there.job(), "pauses.wav")
    sent = there.document("pauses.wav")["recognition"]["audioSecondsSent"]
    return Row(
        "seconds sent for a recording with long pauses",
        f"seconds of speech in it, with pauses below {pause:g} s; the whole file has {recording.seconds:.0f}",
        f"{sent:.0f} s",
        f"{speech:.0f} s",
        [sent / speech],
        "×",
        1.15,
    )
