"""The messages between the app and a decoder process.

A message is one byte that says its kind, and content. The app sends:

    OPEN       the size of a file: decode it from its beginning
    CONTENT    bytes of the file, for NEED; empty at its end

The decoder sends:

    READY      once, before it can take a file
    BROKEN     a sentence, instead of READY: why it cannot decode anything
    NEED       a position and a number of bytes: give it the file's content from there
    FORMAT     `Format` as JSON
    SAMPLES    a block of samples
    END        `End` as JSON; it can take the next file now
    REFUSED    a sentence, at any time after OPEN: why this is no recording; it can take the next file now
"""

import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # plain WAV needs none of it
    from multiprocessing.connection import Connection

OPEN, CONTENT = b"O", b"C"
READY, BROKEN, NEED, FORMAT, SAMPLES, END, REFUSED = b"Y", b"B", b"N", b"F", b"S", b"E", b"R"

OUT_OF_MEMORY = 3  # a decoder's exit status

MOST_READ_BYTES = 64 << 10  # of a file, at once
MOST_MESSAGE_BYTES = 128 << 10
_SIZE, _RANGE = struct.Struct("<Q"), struct.Struct("<QQ")


@dataclass(frozen=True)
class Format:
    """See `format` and `duration` of Recording."""

    format: str
    duration: float | None

    @classmethod
    def parse(cls, content: bytes) -> "Format":
        fields = json.loads(content)
        return cls(_text(fields["format"]), None if fields["duration"] is None else _seconds(fields["duration"]))


@dataclass(frozen=True)
class End:
    """See `damage` and `gaps` of Recording."""

    damage: str | None
    gaps: tuple[tuple[float, float], ...]

    @classmethod
    def parse(cls, content: bytes) -> "End":
        fields = json.loads(content)
        gaps = tuple((_seconds(start), _seconds(duration)) for start, duration in fields["gaps"])
        return cls(None if fields["damage"] is None else _text(fields["damage"]), gaps)


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds} is no time")
    return seconds


def _text(value: Any) -> str:
    return str(value).encode().decode()  # a lone surrogate is no text: ValueError


def send(connection: "Connection", kind: bytes, content: bytes = b"") -> None:
    connection.send_bytes(kind + content)


def send_fields(connection: "Connection", kind: bytes, content: Format | End) -> None:
    send(connection, kind, json.dumps(asdict(content)).encode())


def receive(connection: "Connection") -> tuple[bytes, bytes]:
    """Wait for the next message, and return its kind and content.

    Raises EOFError or OSError if the other side has ended, or sends too much.
    """
    message = connection.recv_bytes(MOST_MESSAGE_BYTES)
    return message[:1], message[1:]


def packed_size(size: int) -> bytes:
    return _SIZE.pack(size)


def size_in(content: bytes) -> int:
    size: int = _SIZE.unpack(content)[0]
    return size


def packed_range(position: int, length: int) -> bytes:
    return _RANGE.pack(position, length)


def range_in(content: bytes) -> tuple[int, int]:
    """Return a position and a length. Raises struct.error if there are none."""
    position, length = _RANGE.unpack(content)
    return position, min(length, MOST_READ_BYTES)
