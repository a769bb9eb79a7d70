"""Turns one recording into a transcript: cuts it into clips, recognises them in parallel and assembles the results.

Each clip ends as a `ClipResult`: phrases and gaps on the recording's clock. A failed clip does not fail the recording:
the other answers are already paid for.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from transcription.audio.decoders import Decoders
from transcription.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE
from transcription.audio.recording import Recording, open_recording
from transcription.clips.clip import Clip
from transcription.clips.cutting import CUTTING_DEFAULTS, CUTTING_VERSION, cut
from transcription.errors import TooLong, TooLongForPronunciation, UnsupportedAudio
from transcription.recognition.plan import NoiseAllowance, Plan, assess_pronunciation, recognize
from transcription.recognition.task import ClipTask, KnownAnswers, Sending
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.speech.pronunciation import MAX_ASSESSED_SECONDS
from transcription.speech.turns import Requester
from transcription.transcript.assembly import ClipResult, assemble
from transcription.transcript.model import Gap, Transcript, Usage

log = logging.getLogger(__name__)

SHORT_CLIPS = 2  # a recording with no more clips keeps no progress: sending it again costs little
LONG_RECORDING_SECONDS = 120.0  # recordings at least this long log their progress
UNKNOWN_STEP_SECONDS = 600.0  # between two progress lines if the file does not declare its duration
DAMAGED = "DamagedAudio"  # a gap's reason: that stretch of the file is damaged


class Transcriber:
    """Turns recordings into transcripts. Safe to use from many threads."""

    def __init__(self, settings: Settings, speech: SpeechClient, decoders: Decoders) -> None:
        self.settings = settings
        self.speech = speech
        self._decoders = decoders
        self._cutting = replace(CUTTING_DEFAULTS, pause_seconds=settings.speech.pause_seconds)

    def open(self, file: BinaryIO, size: int, requester: Requester) -> Recording:
        """Open the recording in a file of `size` bytes. See `open_recording`.

        Its reading ends with an error when the requester's time is up, or if it is stopped.
        """
        return open_recording(file, size, self._decoders, requester.check)

    def fingerprint(self, options: RecognitionOptions) -> str:
        """Return a digest of all that can change the clips or their answers."""
        return f"{CUTTING_VERSION} {self._cutting.pause_seconds:g} {self.speech.fingerprint(options)}"

    def transcribe(
        self,
        recording: Recording,
        options: RecognitionOptions,
        usage: Usage,
        requester: Requester,
        known: KnownAnswers,
        on_long: Callable[[], None],
    ) -> Transcript:
        """Return the transcript, with gaps where recognition failed.

        `known` holds answers that need not be requested, and gets the new ones. `on_long` is called before anything is
        sent if there are more than two clips.
        Raises Final or Misconfigured if an error left no words at all.
        Raises Exhausted if the time is up. The answers so far are in `known`.
        """
        usage.endpoint = self.speech.endpoint
        audio = _LimitedAudio(recording, self.settings.limits.audio_seconds, requester.check)
        sending = Sending(self.speech, self.settings.speech.audio_format, options, usage, requester, known)
        if options.pronunciation:
            clip = _single_clip(audio)
            plans: Iterator[Plan] = iter([assess_pronunciation(clip)] if clip.pcm else [])
        else:
            reserve = NoiseAllowance(usage, sending.is_known).reserve
            plans = (recognize(clip, reserve) for clip in _announced(cut(audio.blocks(), self._cutting), on_long))
        results = list(_log_progress(_recognized(sending, plans), recording.duration or 0.0, requester.budget.name))
        if not any(result.phrases or result.gaps for result in results):
            audio.check_damage()
        return assemble(results, audio.damage_gaps(), audio.seconds, options.language)


def _announced(clips: Iterator[Clip], on_long: Callable[[], None]) -> Iterator[Clip]:
    """Yield the clips, after a call of `on_long` if there are more than SHORT_CLIPS."""
    first = list(islice(clips, SHORT_CLIPS + 1))
    if len(first) > SHORT_CLIPS:
        on_long()
    yield from first
    yield from clips


def _recognized(sending: Sending, plans: Iterator[Plan]) -> Iterator[ClipResult]:
    """Send the clips and yield their results, in order.

    An error ends the recording. Clips that wait are dropped, and those in flight are waited for: their answers are paid
    for.
    """
    pending: deque[Future[ClipResult]] = deque()
    try:
        for number, plan in enumerate(plans):
            task = ClipTask(sending, plan, number)
            pending.append(task.result)
            if not task.result.done():
                sending.speech.dispatcher.submit(task)
            while pending and pending[0].done():
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BaseException as error:
        sending.requester.stop(error)
        sending.speech.dispatcher.wake()
        wait(pending)
        raise


class _LimitedAudio:
    """A recording's audio, measured as it is read. The length that the file declares may be wrong."""

    def __init__(self, recording: Recording, max_seconds: float, check: Callable[[], None]) -> None:
        """`check` is called with each block, and may raise to end the reading."""
        self._recording = recording
        self._max_seconds = max_seconds
        self._check = check
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Return the duration of the audio read so far."""
        return self._samples / SAMPLE_RATE

    def blocks(self) -> Iterator[bytes]:
        """Yield the samples.

        Raises TooLong if the recording is over the limit. If the file declares so, this is found out before the first
        block: the clips of a recording that is then refused would be paid for.
        """
        limit = f"{self._max_seconds / 60:g} minutes (MAX_AUDIO_MINUTES)"
        too_long = TooLong(f"The recording is longer than {limit}. Upload it in parts.")
        if self._recording.exceeds(self._max_seconds):
            raise too_long
        for block in self._recording.blocks():
            self._check()
            self._samples += len(block) // SAMPLE_BYTES
            if self.seconds > self._max_seconds:
                raise too_long
            yield block

    def check_damage(self) -> None:
        """Raise UnsupportedAudio if the file is damaged. Called when its readable part has no speech."""
        if self._recording.damage:
            raise UnsupportedAudio(
                f"The file is damaged ({self._recording.damage}), and the readable part has no speech."
                " Export the recording again and upload the result."
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
        if audio.seconds > MAX_ASSESSED_SECONDS:
            raise TooLongForPronunciation(
                f"The recording is longer than {MAX_ASSESSED_SECONDS:g} s, the limit of a pronunciation assessment."
                " Split it, and give each part only the text read in that part."
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
