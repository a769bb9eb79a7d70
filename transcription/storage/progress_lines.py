"""The lines of a recording's progress: a head, then one answer each.

Nothing in them is trusted. The last line may be torn, and anybody who may write to the container can write anything.
"""

import base64
import json

from transcription.transcript.model import Answered

Key = tuple[int, int, int, int]  # channel, start, end, CRC-32


def key_of(answered: Answered) -> Key:
    """Return the key of the audio that was answered."""
    return answered.channel, answered.start, answered.end, answered.crc


def encode_head(head: dict[str, str]) -> bytes:
    return json.dumps(head).encode() + b"\n"


def decode_head(line: bytes) -> object:
    """Return the head, or something that equals none."""
    return _json(line)


def encode_answer(answered: Answered) -> bytes:
    line = {
        "channel": answered.channel,
        "start": answered.start,
        "end": answered.end,
        "crc": answered.crc,
        "connectionIds": answered.connection_ids,
        "body": base64.b64encode(answered.body).decode(),
    }
    return json.dumps(line).encode() + b"\n"


def decode_answer(line: bytes) -> Answered | None:
    """Return the answer in a line, or None if it holds none."""
    content = _json(line)
    if not isinstance(content, dict):
        return None
    try:
        start, end, crc, channel = (int(content[key]) for key in ("start", "end", "crc", "channel"))
        ids = tuple(value for value in content["connectionIds"] if isinstance(value, str) and len(value) == 32)
        return Answered(start, end, crc, ids, base64.b64decode(content["body"], validate=True), channel)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
