"""Makes `phrases.flac` and `phrases.json`: short phrases of four voices with the true time of every word.

Run it by hand, on a machine with Debian's `flite` and `libflite1`. The tests read the two files and need neither.
It calls the library because the command `flite` prints the ends of phones without their words.
Word times are exact to 5 ms for the statistical voices (slt, rms, awb), and to 10 ms for the diphone voice (kal16).
"""

import ctypes
import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).parent
SAMPLE_RATE = 16_000
CONTEXT = 0.03  # seconds kept around a phrase; the vocoder fades out at its end

PHRASES = {
    "slt": [
        "Yes.",
        "Good morning everybody.",
        "The first train leaves at half past six.",
        "She sells twenty five baskets of fish.",
        "I.",
        "We met in the old house by the river, and talked until the lights went out.",
        "Nothing is lost if every word is heard.",
        "Perhaps.",
        "Moths and mice live in both attics.",
        "Please send the second page to my sister this week.",
        "Which of the six maps is this?",
        "He was not at home when I rang.",
        "Bring a coat, a hat, and a pair of warm gloves.",
        "It stopped.",
    ],
    "rms": [
        "No.",
        "Thank you for calling the office.",
        "Our opening hours are from nine until five.",
        "The committee accepted the budget without a vote.",
        "Up.",
        "A cup of tea and a piece of cake cost three pounds.",
        "Fresh fish is sold at the north gate each Thursday.",
        "Maybe later.",
        "The ship reached the harbour before the storm broke.",
        "Half of it is mine, and the other half belongs to him.",
        "Put the kettle on.",
        "They will never forget that evening.",
        "What is the price of a short trip to the coast?",
        "Enough.",
    ],
    "awb": [
        "So.",
        "Could you say that once more?",
        "The meeting was moved to the fifth of March.",
        "Two large boxes stood in front of the door.",
        "Eight.",
        "His brother plays the flute in a small orchestra.",
        "If it rains tomorrow, the match will be cancelled.",
        "Of course.",
        "Leave the papers on the desk, I will sign them tonight.",
        "My daughter learned to swim last summer.",
        "That is all for today.",
        "A quick reply would help us a lot.",
        "The soft voice of the nurse kept him calm.",
        "Stop.",
    ],
    "kal16": [
        "Right.",
        "The number you have called is not in use.",
        "Press one for sales, or two for support.",
        "All of our agents are busy.",
        "It.",
        "The path led through a dark forest to an empty castle.",
        "Some people read the end of a book first.",
        "Not yet.",
        "Cold water dripped from the roof onto the steps.",
        "Twelve monkeys sat in a tree and laughed.",
        "Who left the window open?",
        "The doctor will be back on Wednesday afternoon.",
        "Each of us carried a heavy bag.",
        "Goodbye.",
    ],
}


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class Flite:
    """The calls of libflite that return a phrase's samples and its word times."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for language in ("usenglish", "cmulex"):
            ctypes.CDLL(f"libflite_{language}.so.1", mode=ctypes.RTLD_GLOBAL)
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, *arguments in (
            ("flite_synth_text", pointer, text, pointer),
            ("utt_relation", pointer, pointer, text),
            ("relation_head", pointer, pointer),
            ("item_next", pointer, pointer),
            ("flite_ffeature_string", text, pointer, text),
            ("flite_ffeature_float", ctypes.c_float, pointer, text),
            ("utt_wave", ctypes.POINTER(_Wave), pointer),
        ):
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self._lib.flite_init()

    def voice(self, name: str) -> int:
        """Return a pointer to the voice."""
        register = getattr(ctypes.CDLL(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
        register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        return int(register(None))

    def say(self, text: str, voice: int) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
        """Return the samples, and text, start and end in seconds of each word."""
        utterance = self._lib.flite_synth_text(text.encode(), voice)
        wave = self._lib.utt_wave(utterance).contents
        if (wave.sample_rate, wave.num_channels) != (SAMPLE_RATE, 1):
            raise ValueError(f"The voice has {wave.sample_rate} Hz. Use one with {SAMPLE_RATE} Hz.")
        pcm = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).copy()
        return pcm, list(self._words(utterance))

    def _words(self, utterance: int) -> Iterator[tuple[str, float, float]]:
        item = self._lib.relation_head(self._lib.utt_relation(utterance, b"Word"))
        while item:
            name = self._lib.flite_ffeature_string(item, b"name").decode()
            start = self._lib.flite_ffeature_float(item, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end")
            end = self._lib.flite_ffeature_float(item, b"R:SylStructure.daughtern.daughtern.end")
            yield name, float(start), float(end)
            item = self._lib.item_next(item)


def main() -> None:
    flite = Flite()
    pieces: list[np.ndarray] = []
    index = []
    position = 0
    for voice, texts in PHRASES.items():
        handle = flite.voice(voice)
        for text in texts:
            pcm, words = flite.say(text, handle)
            first = max(0, int((words[0][1] - CONTEXT) * SAMPLE_RATE))
            last = min(len(pcm), int((words[-1][2] + CONTEXT) * SAMPLE_RATE))
            shift = first / SAMPLE_RATE
            index.append(
                {
                    "voice": voice,
                    "text": text,
                    "start": position,
                    "samples": last - first,
                    "words": [[w, round(s - shift, 3), round(e - shift, 3)] for w, s, e in words],
                }
            )
            pieces.append(pcm[first:last])
            position += last - first
    lines = ",\n".join(json.dumps(entry) for entry in index)
    (HERE / "phrases.json").write_text(f"[\n{lines}\n]\n")
    with av.open(str(HERE / "phrases.flac"), "w") as output:
        stream = output.add_stream("flac", rate=SAMPLE_RATE, layout="mono", options={"compression_level": "12"})
        frame = av.AudioFrame.from_ndarray(np.concatenate(pieces)[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


if __name__ == "__main__":
    main()
