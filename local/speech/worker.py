"""A worker process of the local recogniser. It is run by its path, isolated, so it imports nothing but pocketsphinx.

Standard input: for each clip its length as a little-endian 32-bit number, then that many bytes of 16 kHz mono s16le.
Standard output: `[]` once the model is loaded, then for each clip a JSON line of [text, start, duration], in seconds.
The process ends when its input ends.
"""

import json
import re
import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

from pocketsphinx import Decoder

FRAMES_PER_SECOND = 100
FILLER = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <s>, <sil>, [NOISE], ++BREATH++
ALTERNATE_PRONUNCIATION = re.compile(r"\(\d+\)$")


def clips(source: BinaryIO) -> Iterator[bytes]:
    while len(header := source.read(4)) == 4:
        yield source.read(struct.unpack("<I", header)[0])


def words(decoder: Decoder, pcm: bytes) -> Iterator[tuple[str, float, float]]:
    decoder.reinit_feat()  # otherwise the mean of earlier clips changes the times of this one's words
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return
    for segment in decoder.seg():
        if not FILLER.fullmatch(segment.word):
            frames = segment.end_frame - segment.start_frame + 1
            text = ALTERNATE_PRONUNCIATION.sub("", segment.word)
            yield text, segment.start_frame / FRAMES_PER_SECOND, frames / FRAMES_PER_SECOND


def main() -> None:
    # "batch" takes the cepstral mean of the whole clip, so the clip's level does not matter.
    decoder = Decoder(loglevel="FATAL", cmn="batch")
    print("[]", flush=True)
    for pcm in clips(sys.stdin.buffer):
        print(json.dumps(list(words(decoder, pcm))), flush=True)


if __name__ == "__main__":
    main()
