"""Assembles the transcript from the results of all clips: phrases in order, each word once, and the gaps.

Two answers may cover the same audio. Clips that are cut within continuous speech share some of it, and audio that is
sent again begins where the words ended. Only such answers are joined. Elsewhere, a word that appears twice was said
twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transcription.audio.pcm import SAMPLE_RATE
from transcription.errors import NothingRecognized, TranscriptionError
from transcription.transcript.joining import join
from transcription.transcript.model import Gap, Phrase, Transcript


@dataclass
class ClipResult:
    """The phrases and gaps of one clip, and the error that left part of it without an answer.

    `start`, `end` and `overlap` are samples of the recording. The clip's audio is not kept, because all clips together
    would fill the memory.
    """

    start: int
    end: int
    overlap: int
    phrases: list[Phrase] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    error: TranscriptionError | None = None

    def add_gap(self, speech: Sequence[tuple[int, int]], reason: str) -> None:
        """Add one gap from the start of the first stretch of `speech` to the end of the last, in samples."""
        if speech:
            start, end = speech[0][0] / SAMPLE_RATE, speech[-1][1] / SAMPLE_RATE
            self.gaps.append(Gap(start, end - start, reason))


def assemble(results: Sequence[ClipResult], damaged: Sequence[Gap], seconds: float, language: str) -> Transcript:
    """Return the transcript of a recording that lasts `seconds`. `results` are in order.

    `damaged` are the stretches that cannot be read from the file.
    Raises a clip's error if there are no words and a clip failed.
    Raises NothingRecognized if there is speech, but not one word was recognised.
    """
    phrases = tuple(_joined_phrases(results))
    gaps = [gap for result in results for gap in result.gaps]
    errors = sorted((result.error for result in results if result.error), key=lambda error: not error.try_again)
    if not phrases and errors:
        raise errors[0]
    if not phrases and gaps:
        raise NothingRecognized(
            f"There is speech in this recording, but no words of {language} were understood. Check the language"
            " (metadata `language`, the first folder, or SPEECH_LANGUAGE) and upload it again."
        )
    temporary_error = errors[0] if errors and errors[0].try_again else None
    gaps_in_order = sorted([*gaps, *damaged], key=lambda gap: gap.offset)
    return Transcript(language, seconds, phrases, tuple(gaps_in_order), temporary_error)


def _joined_phrases(results: Sequence[ClipResult]) -> Iterator[Phrase]:
    """Yield all phrases in order, without overlap. Words that two answers share are kept once."""
    previous: Phrase | None = None
    for result in results:
        seam = (result.start + result.overlap / 2) / SAMPLE_RATE
        shared_until = (result.start + result.overlap) / SAMPLE_RATE
        for phrase in sorted(result.phrases, key=lambda phrase: phrase.offset):
            if previous and _overlap(previous, phrase, shared_until):
                previous, phrase = join(previous, phrase)
                if not phrase.words:  # all that is known is that the seam is somewhere in the shared audio
                    phrase = phrase.clamped(seam, max(seam, phrase.end))
            if previous and previous.text:
                yield previous.clamped(0.0, max(previous.offset, phrase.offset))
            previous = phrase
    if previous and previous.text:
        yield previous


def _overlap(previous: Phrase, phrase: Phrase, shared_until: float) -> bool:
    """Tell whether both phrases cover some of the audio that their clips share until `shared_until`.

    Word times decide if both have them, otherwise the times of the phrases.
    """
    if previous.words and phrase.words:
        return previous.words[-1].end > phrase.words[0].offset
    return phrase.offset < min(previous.end, shared_until)
