"""A recogniser that hears a word in every stretch of sound. It costs nothing, and its times are exact."""

from array import array
from itertools import groupby

from local.speech.recognizer import SILENCE_RMS, Word
from transcription.audio.pcm import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
LONGEST_WORD = 3.5  # seconds; longer sound that never stops is noise


class Loudness:
    """Recognises `word` wherever frames of 20 ms are louder than silence, without a break."""

    def words(self, pcm: bytes, language: str) -> list[Word]:  # noqa: ARG002  # the protocol's signature
        samples = array("h", pcm)
        frames = (samples[at : at + FRAME_SAMPLES] for at in range(0, len(samples), FRAME_SAMPLES))
        words, at = [], 0
        for loud, stretch in groupby(sum(s * s for s in frame) > SILENCE_RMS**2 * len(frame) for frame in frames):
            count = len(list(stretch))
            if loud and count * FRAME_SECONDS <= LONGEST_WORD:
                words.append(Word("word", at * FRAME_SECONDS, count * FRAME_SECONDS))
            at += count
        return words
