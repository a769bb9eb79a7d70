"""Runs many exchanges with a peer that follows random plans, and notes every answer that reached the wrong request."""

import random
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from unittest import mock

import requests

from tests.support.raw_peer import RawPeer
from tests.support.wire_plans import SEED_HEADER, STALE_PAUSE, Plan, play
from transcription.speech import connections
from transcription.speech.exchanges import ExchangeFailed
from transcription.speech.transport import Reply, Transport

DEADLINE = 0.5  # seconds for one exchange
TIMEOUT = (2.0, 2.0)  # seconds to connect, and of silence
CONNECTIONS = 4


@dataclass
class Outcomes:
    """`wrong` has a line for each answer that is not the request's own."""

    deadline: float = DEADLINE
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def run_exchanges(count: int, seed: int, tls: ssl.SSLContext | None = None) -> Outcomes:
    """Run `count` exchanges with random plans, on a pool of four connections."""
    dice, outcomes = random.Random(seed), Outcomes()
    seeds = [dice.getrandbits(48) for _ in range(count)]
    patience = mock.patch.object(connections, "ACKNOWLEDGED_WITHIN", DEADLINE / 5)
    with RawPeer(play, tls) as peer, ThreadPoolExecutor(CONNECTIONS) as pool, patience:
        transport = Transport(CONNECTIONS)
        list(pool.map(lambda plan_seed: _exchange(transport, peer.url, plan_seed, outcomes), seeds))
    return outcomes


def _exchange(transport: Transport, url: str, seed: int, outcomes: Outcomes) -> None:
    plan, mark = Plan.of(seed), b"mark %d." % seed
    started = time.monotonic()
    wrong = False
    try:
        reply = transport.post(url, [], {SEED_HEADER: str(seed)}, _body(plan, mark), TIMEOUT, DEADLINE)
    except (requests.RequestException, ExchangeFailed) as error:
        outcome = type(error).__name__
    else:
        outcome = "answered" if reply.status == 200 else "refused"
        wrong = _is_wrong(reply, plan, mark)
    with outcomes.lock:
        outcomes.counts[outcome] += 1
        outcomes.slowest = max(outcomes.slowest, time.monotonic() - started)
        if wrong:
            outcomes.wrong.append(f"{reply} for {mark!r}, {plan}")


def _body(plan: Plan, mark: bytes) -> Iterator[bytes]:
    yield mark
    if plan.stale or plan.amid:
        time.sleep(STALE_PAUSE)
    yield mark


def _is_wrong(reply: Reply, plan: Plan, mark: bytes) -> bool:
    if set(re.findall(rb"mark \d+\.", reply.body)) - {mark}:
        return True
    # Where the head is cut, http.client takes the end of the connection for the end of the head.
    is_whole = reply.status == plan.status == 200 and plan.cut is None
    return is_whole and not reply.body.startswith(mark * 2)
