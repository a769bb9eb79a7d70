"""The decoder processes: one is always ready, and one that goes wrong ends its own upload and nothing else."""

import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.broken_decoder import broken_decoders
from tests.support.recordings import SECONDS, decoder_processes, encode_as
from transcription.audio import decoders as module
from transcription.audio.decoders import Decoder, Decoders, GaveUp
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.audio.recording import open_recording
from transcription.errors import Misconfigured, UnsupportedAudio

CONTENT = encode_as("m4a")


class Watched:
    """Decoders, and the process ids of all that were started."""

    def __init__(self, program: str = module.PROGRAM) -> None:
        self.started: list[Decoder] = []
        self.program = program
        self.decoders = Decoders(self.start)

    def start(self) -> Decoder:
        decoder = Decoder(self.program)
        self.started.append(decoder)
        return decoder

    @property
    def alive(self) -> int:
        return sum(decoder.can_be_used_again for decoder in self.started)


@contextmanager
def watched(program: str = module.PROGRAM) -> Iterator[Watched]:
    watched = Watched(program)
    with closing(watched.decoders):
        yield watched


def seconds(decoders: Decoders, content: bytes = CONTENT) -> float:
    """Return the seconds of audio that the decoders make of a file."""
    with closing(open_recording(io.BytesIO(content), len(content), decoders, lambda: None)) as recording:
        return sum(map(len, recording.blocks())) / BYTES_PER_SECOND


def test_a_decoder_is_used_again_and_another_one_is_ready() -> None:
    with watched() as watching:
        for _ in range(3):
            assert seconds(watching.decoders) == pytest.approx(SECONDS, abs=0.05)
        assert len(watching.started) == watching.alive == 2
    assert watching.alive == 0


def test_a_refused_file_does_not_cost_a_decoder() -> None:
    with watched() as watching:
        for _ in range(3):
            with pytest.raises(UnsupportedAudio, match="not a recording"):
                seconds(watching.decoders, b"text" * 1000)
        assert len(watching.started) == 1


def test_recordings_side_by_side_have_a_decoder_each_and_few_are_kept() -> None:
    with watched() as watching:
        recordings = [
            open_recording(io.BytesIO(CONTENT), len(CONTENT), watching.decoders, lambda: None) for _ in range(5)
        ]
        assert len(watching.started) == 6
        for recording in recordings:
            assert sum(map(len, recording.blocks())) / BYTES_PER_SECOND == pytest.approx(SECONDS, abs=0.05)
        assert watching.alive == module.MOST_SPARE


@pytest.mark.parametrize("end", ["close", "close the iterator"])
def test_a_recording_that_is_not_read_to_its_end_leaves_no_decoder_behind(end: str) -> None:
    with watched() as watching:
        recording = open_recording(io.BytesIO(CONTENT), len(CONTENT), watching.decoders, lambda: None)
        blocks = recording.blocks()
        assert next(blocks)
        if end == "close":
            recording.close()
        else:
            blocks.close()  # type: ignore[attr-defined]
        assert watching.alive == 1


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("abort", "it crashed (SIGABRT)"),
        ("loop", "more time than a recording should"),
        ("allocate 4 GB", "more memory than a recording should"),
        ("fail", "it ended with status 1"),
        ("sleep", "it does not answer"),
        ("open a file", "it ended with status 1"),
        ("open a file instead of the output", "it ended with status 1"),
        ("open a socket", "it ended with status 1"),
    ],
)
def test_a_decoder_that_goes_wrong_ends_its_own_recording(
    way: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_CPU_SECONDS", 0.5)
    monkeypatch.setattr(module, "SILENCE_SECONDS", 3.0 if way == "sleep" else 60.0)
    with closing(broken_decoders(way)) as broken, watched() as watching:
        neighbour = open_recording(io.BytesIO(CONTENT), len(CONTENT), watching.decoders, lambda: None)
        with pytest.raises(GaveUp) as gave_up:
            seconds(broken)
        assert reason in str(gave_up.value)
        assert "The decoder gave up" in str(gave_up.value)
        assert gave_up.value.code == "UnsupportedAudio"
        assert sum(map(len, neighbour.blocks())) / BYTES_PER_SECOND == pytest.approx(SECONDS, abs=0.05)


def test_a_decoder_that_the_system_has_ended_is_not_the_recordings_fault() -> None:
    with watched() as watching:
        recording = open_recording(io.BytesIO(CONTENT * 200), len(CONTENT), watching.decoders, lambda: None)
        while watching.alive:  # the spare one may be about to start
            for child in decoder_processes():
                os.kill(child, signal.SIGKILL)
        with pytest.raises(Misconfigured, match="may lack memory"):
            list(recording.blocks())
        assert seconds(watching.decoders) == pytest.approx(SECONDS, abs=0.05), "the next one has a new decoder"


@pytest.mark.parametrize(
    ("program", "reason"),
    [("raise SystemExit(7)", "it ended with status 7"), (module.PROGRAM.replace("audio", "x"), "with status 1")],
)
def test_a_decoder_that_does_not_start_is_a_matter_of_configuration(program: str, reason: str) -> None:
    with watched(program) as watching, pytest.raises(Misconfigured, match=f"does not start: .*{reason}"):
        seconds(watching.decoders)


def test_a_decoder_that_never_is_ready_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.1)
    with watched("input()") as watching, pytest.raises(Misconfigured, match="does not start: it does not answer"):
        seconds(watching.decoders)


def test_a_library_that_is_missing_is_named() -> None:
    without_av = module.PROGRAM.replace("; from", "; sys.modules['av'] = None; from")
    with watched(without_av) as watching, pytest.raises(Misconfigured, match=r"does not start: .*av"):
        seconds(watching.decoders)


def test_no_process_at_all_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with watched() as watching, pytest.raises(Misconfigured, match=r"No decoder can be started: .*nowhere"):
        seconds(watching.decoders)


def test_a_decoder_knows_nothing_of_the_apps_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SPEECH_KEY", "a-secret-key")
    with watched() as watching:
        recording = open_recording(io.BytesIO(CONTENT), len(CONTENT), watching.decoders, lambda: None)
        (child, *_) = decoder_processes()
        assert b"secret" not in Path(f"/proc/{child}/environ").read_bytes()
        modules = Path(f"/proc/{child}/maps").read_text()
        assert "/av/" in modules
        assert "azure" not in modules
        assert {entry.name for entry in Path(f"/proc/{child}/fd").iterdir()} == {"0", "1", "2"}
        recording.close()


def test_the_check_ends_the_reading() -> None:
    class TimeIsUp(Exception):
        pass

    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks > 3:
            raise TimeIsUp

    content = encode_as("wav stereo")
    with watched() as watching, pytest.raises(TimeIsUp):
        list(open_recording(io.BytesIO(content), len(content), watching.decoders, check).blocks())
    assert watching.alive == 0


def test_a_warm_decoder_answers_soon() -> None:
    with watched() as watching:
        seconds(watching.decoders)
        started = time.process_time()
        seconds(watching.decoders)
        assert time.process_time() - started < 1, "nothing is started for it"
        assert len(watching.started) == 2
