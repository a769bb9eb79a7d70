"""Plans for a `RawPeer` that answers in every legal and illegal way, one random plan for each request.

The request's head carries the seed of its plan, and its body carries a mark. A right answer repeats that mark. So an
answer that reaches the wrong request is seen.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.raw_peer import CONTINUE, RawConnection

SEED_HEADER = "X-Plan"
STALE_PAUSE = 0.06  # seconds that a client waits in the middle of a body if the plan sends anything meanwhile
INTERIM = (
    CONTINUE,
    b"HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 199 \r\n\r\n",
)
JUNK = (b"\0", b"\r\n", b"HTTP/1.1 200 OK\r\n", b"0\r\n\r\n", bytes(range(256)))


@dataclass(frozen=True)
class Plan:
    """The course of one exchange."""

    acknowledged: bool
    interim: tuple[bytes, ...]
    framing: str  # length, chunked, trailers, or close
    status: int
    stale: str  # when the answer to the connection's last request comes again: never, "first", "acknowledged" or "late"
    refused: bool  # a refusal comes in place of the acknowledgement
    amid: bytes  # an interim answer while the body is being sent
    doubled: bool
    behind: bytes  # junk after the answer
    cut: float | None  # the share of the answer after which the connection ends
    drip: float  # seconds between bytes
    stall: float | None  # the share of the answer after which nothing more comes

    @classmethod
    def of(cls, seed: int) -> "Plan":
        dice = random.Random(seed)
        return cls(
            acknowledged=dice.random() < 0.98,
            interim=tuple(dice.choices(INTERIM, k=dice.choice([0, 0, 1, 2, 5]))),
            framing=dice.choice(["length", "length", "chunked", "trailers", "close"]),
            status=dice.choice([200] * 8 + [401, 429, 503, 101, 204]),
            stale=dice.choice([""] * 17 + ["first", "acknowledged", "late"]),
            refused=dice.random() < 0.03,
            amid=dice.choice(INTERIM) if dice.random() < 0.1 else b"",
            doubled=dice.random() < 0.15,
            behind=dice.choice(JUNK) if dice.random() < 0.1 else b"",
            cut=dice.random() if dice.random() < 0.1 else None,
            drip=dice.choice([0.0] * 9 + [0.0002]),
            stall=dice.random() if dice.random() < 0.03 else None,
        )


def play(connection: RawConnection) -> None:
    """Answer every request of a connection as planned."""
    last = b""
    while True:
        plan = Plan.of(_seed(connection.read_head()))
        if plan.refused and last:
            connection.send(b"HTTP/1.1 429 Busy\r\nContent-Length: %d\r\n\r\n%b" % (len(last), last))
            return
        if plan.stale == "first":
            connection.send(last)
        if plan.acknowledged:
            connection.send(CONTINUE + (last if plan.stale == "acknowledged" else b""))
        if plan.stale == "late":
            time.sleep(STALE_PAUSE / 2)
            connection.send(last)
        connection.send(plan.amid)
        last = _framed(plan, connection.read_body())
        if not _answer(connection, plan, last):
            return


def _seed(head: bytes) -> int:
    lines = head.decode().splitlines()
    return next(int(line.partition(": ")[2]) for line in lines if line.lower().startswith(SEED_HEADER.lower()))


def _answer(connection: RawConnection, plan: Plan, answer: bytes) -> bool:
    """Send the answer as planned, and tell whether the connection goes on."""
    data = b"".join(plan.interim) + answer * (2 if plan.doubled else 1) + plan.behind
    if plan.cut is not None:
        data = data[: int(plan.cut * len(data))]
    if plan.stall is not None:
        connection.send(data[: int(plan.stall * len(data))])
        connection.wait_for_hang_up()
        return False
    for piece in _pieces(data, plan.drip):
        connection.send(piece)
    return plan.cut is None and plan.framing != "close"


def _framed(plan: Plan, body: bytes) -> bytes:
    head = b"HTTP/1.1 %d Planned\r\n" % plan.status
    if plan.status in (101, 204):
        return head + b"\r\n"
    match plan.framing:
        case "length":
            return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        case "close":
            return head + b"Connection: close\r\n\r\n" + body
        case framing:
            half = len(body) // 2
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
            trailers = b"X-Trailer: 1\r\n" * 3 if framing == "trailers" else b""
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


def _pieces(data: bytes, drip: float) -> Iterator[bytes]:
    if not drip:
        yield data
        return
    for at in range(len(data)):
        yield data[at : at + 1]
        time.sleep(drip)
