"""What became of each clip → the transcript: phrases in order, each word once, and what is missing.

Two answers may tell of the same sound: clips that were cut in running speech share some, and what is sent again begins
where the words ended. Only there are they joined; elsewhere a word that is said twice was said twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transcription.audio.pcm import SAMPLE_RATE
from transcription.errors import NothingRecognized, TranscriptionError
from transcription.transcript.joining import join
from transcription.transcript.model import Gap, Phrase, Transcript


@dataclass
class ClipResult:
    """What became of one clip; `error` is what kept part of it from an answer.

    Of the clip itself only its place is left (samples of the recording): the sound of all clips would fill the memory.
    """

    start: int
    end: int
    overlap: int
    phrases: list[Phrase] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    error: TranscriptionError | None = None

    def missing(self, spoken: Sequence[tuple[int, int]], reason: str) -> None:
        """Notes one gap from the first of these stretches (samples of the recording) to the end of the last."""
        if spoken:
            start, end = spoken[0][0] / SAMPLE_RATE, spoken[-1][1] / SAMPLE_RATE
            self.gaps.append(Gap(start, end - start, reason))


def assembled(heard: Sequence[ClipResult], lost: Sequence[Gap], seconds: float, language: str) -> Transcript:
    """The transcript of all clips, in order; where there are no words at all, the error that says why.

    `lost` is what the file itself does not give. NothingRecognized: there is speech, and no word of it.
    """
    phrases = tuple(_in_order(heard))
    gaps = [gap for one in heard for gap in one.gaps]
    errors = sorted((one.error for one in heard if one.error), key=lambda error: not error.try_again)
    if not phrases and errors:
        raise errors[0]
    if not phrases and gaps:
        raise NothingRecognized(
            f"There is speech in this recording, but no words of {language} were understood: check the language"
            " (metadata `language`, the first folder, or SPEECH_LANGUAGE) and upload it again."
        )
    mendable = errors[0] if errors and errors[0].try_again else None
    in_order = sorted([*gaps, *lost], key=lambda gap: gap.offset)
    return Transcript(language, seconds, phrases, tuple(in_order), mendable)


def _in_order(heard: Sequence[ClipResult]) -> Iterator[Phrase]:
    """All phrases; what two answers both have is kept once, and no phrase reaches into the next."""
    before: Phrase | None = None
    for one in heard:
        seam = (one.start + one.overlap / 2) / SAMPLE_RATE
        shared_until = (one.start + one.overlap) / SAMPLE_RATE
        for phrase in sorted(one.phrases, key=lambda phrase: phrase.offset):
            if before and _tell_of_the_same(before, phrase, shared_until):
                before, phrase = join(before, phrase)
                if not phrase.words:  # nothing tells more than that the seam is somewhere in the shared sound
                    phrase = phrase.clamped(seam, max(seam, phrase.end))
            if before and before.text:
                yield before.clamped(0.0, max(before.offset, phrase.offset))
            before = phrase
    if before and before.text:
        yield before


def _tell_of_the_same(before: Phrase, phrase: Phrase, shared_until: float) -> bool:
    """Whether both are about the same stretch: by their words' times, else by their own and what clips share."""
    if before.words and phrase.words:
        return before.words[-1].end > phrase.words[0].offset
    return phrase.offset < min(before.end, shared_until)
