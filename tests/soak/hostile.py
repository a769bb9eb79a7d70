"""Files that are broken or made to do harm, and a process that reads them as the app does.

The files are numbered, and a number always gives the same file. `python -m tests.soak.hostile KIND FIRST STOP STEP`
reads some of them and prints a line for each: number, CPU seconds, seconds of audio, MB of memory, outcome. It is a
process of its own, so that a crash is recognised as one.
"""

import random
import struct
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from local.progress import say
from tests.support.hostile_files import BOMBS, playlists
from tests.support.recordings import FORMATS, SPEECH, encode_as, opened
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.errors import Final

LONGEST_AUDIO = 2 * 3600  # seconds; the app stops after MAX_AUDIO_MINUTES
HEAD_BYTES = 4096
MAGIC = (
    *(b"RIFF\0\0\0\0WAVEfmt ", b"RF64", b"riff", b"FORM", b"caff", b".snd", b"fLaC", b"OggS\0\2", b"ID3\4\0\0"),
    *(
        b"\xff\xfb\x90\0",
        b"\xff\xf1\x50\x80",
        b"#!AMR\n",
        b"\x1aE\xdf\xa3",
        b"\0\0\0\x20ftypM4A ",
        b"FLV\1",
        b"G@\0\x10",
    ),
    *(b"0&\xb2u\x8ef\xcf\x11", b"\0\0\1\xba"),
)
NASTY = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def flipped(content: bytes, dice: random.Random) -> bytes:
    """Flip some bits: from one per 100,000 bytes to one per 100 bytes."""
    damaged = bytearray(content)
    for _ in range(max(1, int(len(content) * 10 ** dice.uniform(-5, -2)))):
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def overwritten(content: bytes, dice: random.Random) -> bytes:
    """Overwrite up to 5 kB with noise or zeros."""
    start, length = dice.randrange(len(content)), dice.randrange(1, 5000)
    noise = dice.randbytes(length) if dice.random() < 0.5 else bytes(length)
    return content[:start] + noise + content[start + length :]


def without_beginning(content: bytes, dice: random.Random) -> bytes:
    return content[dice.randrange(1, min(len(content), 2000)) :]


def shuffled(content: bytes, dice: random.Random) -> bytes:
    size = max(1, len(content) // 9)
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    dice.shuffle(pieces)
    return b"".join(pieces)


def nasty_numbers(content: bytes, dice: random.Random) -> bytes:
    """Put absurd sizes, counts and rates into the head of the file."""
    damaged = bytearray(content)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(max(1, min(len(damaged), HEAD_BYTES) - 4))
        damaged[at : at + 4] = struct.pack(dice.choice(("<I", ">I")), dice.choice(NASTY))
    return bytes(damaged)


DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    cut, flipped, overwritten, without_beginning, shuffled, nasty_numbers,
)  # fmt: skip


@cache
def whole(name: str) -> bytes:
    return encode_as(name, SPEECH[:12_000])


@cache
def harmful() -> Mapping[str, bytes]:
    return {
        "a packet for each sample": voice_file(1_000_000),
        "a packet for each sample of a long recording": video_file(400_000),
        **BOMBS,
        **playlists(Path("/etc/hostname")),
    }


def voice_file(samples: int) -> bytes:
    """Return a VOC file at 50 kHz with a block for each sample. It takes about as much CPU time as it has audio."""
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x010A, 0x1129)
    first = b"\1" + struct.pack("<I", 3)[:3] + bytes([256 - 20, 0, 0x80])
    return head + first + b"\2\1\0\0\x80" * (samples - 1) + b"\0"


def video_file(samples: int) -> bytes:
    """Return an FLV file at 44.1 kHz with a packet for each sample, which declares three hours."""

    def tag(kind: int, milliseconds: int, body: bytes) -> bytes:
        head = bytes([kind]) + len(body).to_bytes(3) + milliseconds.to_bytes(3) + bytes(4)
        return head + body + struct.pack(">I", len(head) + len(body))

    length = b"\x08" + struct.pack(">I", 1) + b"\0\x08duration\0" + struct.pack(">d", 3 * 3600) + b"\0\0\x09"
    head = b"FLV\1\4\0\0\0\x09" + bytes(4) + tag(18, 0, b"\2\0\x0aonMetaData" + length)
    return head + b"".join(tag(8, number * 10 // 441, b"\x3c\x80") for number in range(samples))


def files() -> list[str]:
    """Return the names of all files: those made to do harm, and every format with every kind of damage."""
    return [*harmful(), *(f"{name}, {damage.__name__}" for name in FORMATS for damage in DAMAGE)]


def file(number: int) -> bytes:
    name = files()[number]
    if name in harmful():
        return harmful()[name]
    name, _, damage = name.rpartition(", ")
    return next(known for known in DAMAGE if known.__name__ == damage)(whole(name), random.Random(number))


def header(number: int) -> bytes:
    """Return the damaged beginning of a file: of one format, of two joined together, or a signature and noise."""
    dice = random.Random(number)
    if dice.random() < 0.3:
        return dice.choice(MAGIC) + dice.randbytes(dice.randrange(3000))
    head = whole(dice.choice(list(FORMATS)))[: dice.randrange(20, HEAD_BYTES)]
    if dice.random() < 0.2:
        head = head[: dice.randrange(len(head))] + whole(dice.choice(list(FORMATS)))[:HEAD_BYTES]
    for _ in range(dice.randrange(1, 3)):
        head = dice.choice((flipped, nasty_numbers, overwritten))(head, dice)
    return head


KINDS: Mapping[str, Callable[[int], bytes]] = {"files": file, "headers": header}


def read(content: bytes) -> tuple[str, float]:
    """Read to the end, or to the longest supported recording. Return the outcome and the seconds of audio."""
    seconds = 0.0
    try:
        with closing(opened(content)) as recording:
            if recording.exceeds(LONGEST_AUDIO):  # as the app does first
                return "too long", LONGEST_AUDIO
            for block in recording.blocks():
                seconds += len(block) / BYTES_PER_SECOND
                if seconds > LONGEST_AUDIO:
                    return "too long", seconds
    except Final:
        return "refused", seconds
    return "read", seconds


def memory(field: str) -> int:
    """Return this process's memory in MB: VmRSS for now, VmHWM for its peak."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) // 1024


def forget_peak() -> None:
    """Let the peak memory start again from now on. Otherwise one large file would hide all smaller ones after it."""
    Path("/proc/self/clear_refs").write_text("5")


def main(kind: str, numbers: range) -> None:
    for number in numbers:
        content = KINDS[kind](number)
        say(f"{number} start")
        forget_peak()
        megabytes, started = memory("VmRSS"), time.process_time()
        outcome, seconds = read(content)
        cpu_seconds = time.process_time() - started
        say(f"{number} {cpu_seconds:.3f} {seconds:.3f} {memory('VmHWM') - megabytes} {outcome}")


if __name__ == "__main__":
    main(sys.argv[1], range(*map(int, sys.argv[2:])))
