"""Turns one recording into a transcript: cuts it into clips, recognises them in parallel and assembles the results.

Each clip ends as a `ClipResult`: phrases and gaps on the recording's clock. A clip that fails does not fail the
recording, because the answers to the others are paid for and worth having.
"""

import logging
from collections.abc import Iterator

from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.recording import Recording
from transcription.clip_recognizer import ClipRecognizer
from transcription.clips.clip import Clip
from transcription.clips.cutting import cut
from transcription.clock import Budget
from transcription.errors import TooLong, TooLongForPronunciation, UnsupportedAudio
from transcription.ordered_map import ordered_map
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.pronunciation import LONGEST_ASSESSED
from transcription.transcript.assembly import ClipResult, assemble
from transcription.transcript.model import Gap, Transcript, Usage

log = logging.getLogger(__name__)

MAX_PARALLEL_CLIPS = 16  # of one recording, whatever the quota; 100, the quota of S0, would fill 200 MB
CLIPS_AHEAD = 2  # cut and waiting for a thread; each takes up to 2 MB
LONG_RECORDING_SECONDS = 120.0  # the log shows the progress of longer recordings
UNKNOWN_STEP_SECONDS = 600.0  # between two progress lines if the file does not declare its duration
DAMAGED = "DamagedAudio"  # a gap's reason: that stretch of the file is damaged


class Transcriber:
    """Turns recordings into transcripts. Safe to use from many threads."""

    def __init__(self, settings: Settings, speech: SpeechClient) -> None:
        self.settings = settings
        self._speech = speech

    def transcribe(self, recording: Recording, options: RecognitionOptions, usage: Usage, budget: Budget) -> Transcript:
        """Return the transcript, with gaps where no words could be obtained.

        Raises Final, Misconfigured or Exhausted if there are no words because of that error.
        """
        usage.endpoint = self._speech.endpoint
        budget = budget.part()
        audio = _LimitedAudio(recording, self.settings.limits.audio_seconds)
        recognizer = ClipRecognizer(self._speech, self.settings.speech.audio_format, options, usage, budget)
        if options.pronunciation:
            results = recognizer.assess_pronunciation(_single_clip(audio))
        else:
            workers = min(self.settings.speech.max_concurrent_requests, MAX_PARALLEL_CLIPS)
            clips = cut(audio.blocks())
            stream = ordered_map(recognizer.recognize, clips, workers, workers + CLIPS_AHEAD, abandon=budget.end)
            results = list(_log_progress(stream, recording.duration or 0.0, budget.name))
        if not any(result.phrases or result.gaps for result in results):
            audio.check_damage()
        return assemble(results, audio.damage_gaps(), audio.seconds, options.language)


class _LimitedAudio:
    """A recording's audio, measured as it is read. The length that the file declares may be wrong."""

    def __init__(self, recording: Recording, max_seconds: float) -> None:
        self._recording = recording
        self._max_seconds = max_seconds
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Return the duration of the audio read so far."""
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[bytes]:
        """Yield the samples.

        Raises TooLong if the recording is too long. That is found out before the first block if the file's duration
        suggests it, because clips of a recording that is then refused would be paid for.
        """
        limit = f"{self._max_seconds / 60:g} minutes (MAX_AUDIO_MINUTES)"
        too_long = TooLong(f"The recording is longer than {limit}. Upload it in parts.")
        if self._recording.exceeds(self._max_seconds):
            raise too_long
        for block in self._recording.blocks():
            self._samples += len(block) // SAMPLE_BYTES
            if self.seconds > self._max_seconds:
                raise too_long
            yield block

    def check_damage(self) -> None:
        """Raise UnsupportedAudio if the file is damaged. Call it if nobody speaks in the readable part."""
        if self._recording.damage:
            raise UnsupportedAudio(
                f"Nobody speaks in the part of the file that can be read: {self._recording.damage}. Upload it again."
            )

    def damage_gaps(self) -> list[Gap]:
        """Return the stretches that the damaged file has lost."""
        if self._recording.damage is None:
            return []
        log.warning("The recording is damaged: %s", self._recording.damage)
        return [Gap(start, duration, DAMAGED) for start, duration in self._recording.gaps]


def _single_clip(audio: _LimitedAudio) -> Clip:
    """Return the whole recording as one clip, for a pronunciation assessment.

    Raises TooLongForPronunciation if the recording is over the limit of one request.
    """
    pcm = bytearray()
    for block in audio.blocks():
        pcm += block
        if audio.seconds > LONGEST_ASSESSED:
            raise TooLongForPronunciation(
                f"The recording is longer than {LONGEST_ASSESSED:g} s, the limit of a pronunciation assessment."
                " Upload it in parts, each with the text that is read in it."
            )
    return Clip(0, bytes(pcm), ((0, len(pcm) // SAMPLE_BYTES),))


def _log_progress(results: Iterator[ClipResult], duration: float, name: str) -> Iterator[ClipResult]:
    """Log every tenth of a long recording, or every ten minutes if its duration is unknown (0)."""
    step = duration / 10 if duration else UNKNOWN_STEP_SECONDS
    logged_steps = 0
    for result in results:
        yield result
        seconds = result.end / SAMPLE_RATE
        if max(duration, seconds) >= LONG_RECORDING_SECONDS and seconds // step > logged_steps:
            logged_steps = int(seconds // step)
            share = f" of {_clock(duration)} ({min(1.0, seconds / duration):.0%})" if duration else ""
            log.info("%r: transcribed %s%s", name, _clock(seconds), share)


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
