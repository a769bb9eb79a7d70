"""Faults that tests ask for. Each one applies to one request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

from local.speech.answers import JSON_TYPE, Answer
from local.speech.wire import MAX_BODY_BYTES, Received, Wire

SUCCESS = b'{"RecognitionStatus":"Success","Offset":0,"Duration":10000000,"DisplayText":"Not all of this."}'
GARBAGE = b"\x16\x03\x01 this is not HTTP\r\n\r\n"


class Ending(Enum):
    """The end of the connection."""

    KEEP = "as HTTP specifies"
    CLOSE = "closed at once, even if the client is still sending"
    RESET = "reset"


@dataclass(frozen=True)
class Fault:
    """One fault. The constructors below make them; `at` ties one to a path.

    First `body_bytes` of the request are read (None: all of them). After `delay` seconds the `answer` is sent, or the
    `raw` bytes, or, if both are None, the right answer. `drip` is the seconds between its bytes, and its last
    `held_back` bytes are not sent. Then the connection ends as `ending` says.
    """

    answer: Answer | None = None
    raw: bytes | None = None
    body_bytes: int | None = None
    delay: float = 0.0
    drip: float = 0.0
    held_back: int = 0
    ending: Ending = Ending.KEEP
    path: str | None = None

    def at(self, path: str) -> "Fault":
        """Return the same fault for the next request to this path, instead of the next recognition."""
        return replace(self, path=path)

    @classmethod
    def none(cls) -> "Fault":
        """Answer as usual: one good request between bad ones."""
        return cls()

    @classmethod
    def status(cls, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> "Fault":
        """Answer with this status after the whole body was read."""
        return cls(Answer(status, body, headers or {}))

    @classmethod
    def early(
        cls,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        body_bytes: int = 0,
        abrupt: bool = False,
    ) -> "Fault":
        """Answer after `body_bytes` of the request. Then the client may finish sending, unless `abrupt`."""
        ending = Ending.CLOSE if abrupt else Ending.KEEP
        return cls(Answer(status, body, headers or {}), body_bytes=body_bytes, ending=ending)

    @classmethod
    def reset(cls, when: Literal["before", "during", "after"] = "after") -> "Fault":
        """Reset the connection instead of answering: before, during or after reading the body."""
        return cls(raw=b"", body_bytes={"before": 0, "during": 1, "after": None}[when], ending=Ending.RESET)

    @classmethod
    def close(cls) -> "Fault":
        """Close the connection instead of answering."""
        return cls(raw=b"", ending=Ending.CLOSE)

    @classmethod
    def truncated(cls, missing: int = 20) -> "Fault":
        """Close the connection before the last `missing` bytes of the answer."""
        return cls(Answer(200, SUCCESS, {"Content-Type": JSON_TYPE}), held_back=missing, ending=Ending.CLOSE)

    @classmethod
    def cut_json(cls) -> "Fault":
        """Send valid HTTP around half a JSON document."""
        return cls(Answer(200, SUCCESS[: len(SUCCESS) // 2], {"Content-Type": JSON_TYPE}))

    @classmethod
    def empty(cls) -> "Fault":
        """Send a 200 without a body."""
        return cls(Answer(200))

    @classmethod
    def garbage(cls, data: bytes = GARBAGE) -> "Fault":
        """Send bytes that are not HTTP."""
        return cls(raw=data, ending=Ending.CLOSE)

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        """Send the right answer, late."""
        return cls(delay=seconds)

    @classmethod
    def dripping(cls, seconds_per_byte: float) -> "Fault":
        """Send the right answer, byte by byte."""
        return cls(drip=seconds_per_byte)

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> "Fault":
        return cls.status(status, headers={"Location": location})

    @classmethod
    def document(cls, document: Any, status: int = 200) -> "Fault":
        """Send a given JSON document, such as {"RecognitionStatus": "Error"}."""
        return cls(Answer.document(document, status))

    def play(self, wire: Wire, received: Received, respond: Callable[[], Answer]) -> None:
        """Answer a request whose head was read. `respond` makes the right answer from the whole body."""
        self._read(wire)
        answer = self.answer
        if answer is None and self.raw is None:
            answer = respond()
        wire.wait(self.delay)
        received.finish(wire.body, answer.status if answer else 0)
        if answer is None:
            wire.raw(self.raw or b"")
        else:
            wire.answer(answer, self.drip, self.held_back)
        if self.ending is Ending.RESET:
            wire.reset()
        elif self.ending is Ending.CLOSE:
            wire.close()

    def _read(self, wire: Wire) -> None:
        if self.body_bytes == 0:
            return
        for length in wire.arriving():
            if length >= (self.body_bytes or MAX_BODY_BYTES + 1):
                return
