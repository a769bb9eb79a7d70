"""One answered request, and its line of text: what a worker keeps for the next one."""

import json
import re
from dataclasses import dataclass

MOST = 1 << 40  # of a sample's number

CONNECTION_ID = re.compile("[0-9a-f]{32}")

Key = tuple[int, int, int, int]  # start, end, CRC-32, channel


@dataclass(frozen=True)
class Answered:
    """One answered request.

    start, end: the first sample, and the one after the last.
    crc: `zlib.crc32` of the samples.
    connection_ids: those of all its tries.
    body: the service's JSON as it arrived.
    """

    start: int
    end: int
    crc: int
    connection_ids: tuple[str, ...]
    body: bytes
    channel: int = 0

    @property
    def key(self) -> Key:
        """Return what tells requests of one recording apart."""
        return self.start, self.end, self.crc, self.channel

    def line(self) -> bytes:
        """Return the request as a line. Bytes that are not UTF-8 stay as they are."""
        content = {
            "channel": self.channel,
            "start": self.start,
            "end": self.end,
            "crc": self.crc,
            "ids": self.connection_ids,
            "body": self.body.decode(errors="surrogateescape"),
        }
        return encode_line(content)

    @classmethod
    def of_line(cls, line: bytes) -> "Answered | None":
        """Return the request, or None if the line is torn or garbled."""
        try:
            content = json.loads(line.decode(errors="surrogateescape"))
            numbers = [content[name] for name in ("start", "end", "crc", "channel")]
            ids, body = content["ids"], content["body"].encode(errors="surrogateescape")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not all(type(number) is int and 0 <= number < MOST for number in numbers):
            return None
        if not (isinstance(ids, list) and all(isinstance(each, str) and CONNECTION_ID.fullmatch(each) for each in ids)):
            return None
        start, end, crc, channel = numbers
        return cls(start, end, crc, tuple(ids), body, channel) if start <= end else None


def encode_line(content: object) -> bytes:
    """Return a JSON value as one line. Bytes that are not UTF-8 stay as they are."""
    return json.dumps(content, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"
