"""What a thousand recordings of a minute cost: figures measured here, and list prices."""

import time

from bench.children import service
from bench.recordings import wav, without_pauses
from bench.results import Row
from bench.stage import Watched, stage
from local.azurite import Azurite
from local.progress import say

RECORDINGS = 1000
MODEL = (1.0, 0.1)  # what an answer takes: seconds, and seconds for each second of audio
PRICES = "list prices in USD, May 2025, pay as you go, free grants left out"
SPEECH_HOUR = 1.00  # standard, real time
GB_SECOND = 0.000026  # Flex Consumption, on demand
EXECUTION = 0.40 / 1e6
INSTANCE_GB = 2.0  # 2,048 MB, the default
READ = 0.004 / 1e4  # hot tier, locally redundant; also for other operations than writes
WRITE = 0.05 / 1e4
EVENT = 0.60 / 1e6  # Event Grid, an operation
EVENT_OPERATIONS = 2  # published, delivered


def rows(azurite: Azurite) -> list[Row]:
    """One instance for each recording: the dearest case. Instances that are shared divide the GB-seconds."""
    say("  the cost of a thousand recordings of a minute")
    with service(*MODEL) as slow, stage(azurite, slow) as there:
        there.upload("minute.wav", wav(without_pauses(58.0)))
        work = there.job()
        storage, started = Watched(), time.perf_counter()
        work.run(there.audio.container_name, "minute.wav")
        seconds, reads, writes = time.perf_counter() - started, storage.reads, storage.writes
        there.check("minute.wav")
        recognition = there.document("minute.wav")["recognition"]
    sent = recognition["audioSecondsSent"] * 60 / 58
    parts = {
        f"Speech ({sent:.1f} s sent each)": sent / 3600 * SPEECH_HOUR,
        f"Functions ({seconds * INSTANCE_GB:.1f} GB-s each)": seconds * INSTANCE_GB * GB_SECOND + EXECUTION,
        f"storage ({reads} reads, {writes} writes each)": reads * READ + writes * WRITE,
        "events": EVENT_OPERATIONS * EVENT,
    }
    return [
        _row(f"a thousand one-minute recordings: {name}", RECORDINGS * price)
        for name, price in [*parts.items(), ("in all", sum(parts.values()))]
    ]


def _row(what: str, dollars: float) -> Row:
    return Row(what, PRICES, f"{dollars:.4f} USD" if dollars < 0.1 else f"{dollars:.2f} USD", "", [dollars], "USD")
