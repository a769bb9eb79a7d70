"""The cost of a thousand recordings of a minute, from measured figures and list prices."""

import time

from bench.children import speech_service
from bench.environment import Environment, NetworkCounter
from bench.jobs import TYPICAL
from bench.recordings import MINUTE, wav, without_pauses
from bench.results import Row
from local.azurite import Azurite
from local.progress import say
from transcription.audio.pcm import BYTES_PER_SECOND

RECORDINGS = 1000
INSTANCE_GB = 2.0  # 2,048 MB, the default

# USD, without the free grants. From public pages of the dates shown, not from an invoice.
SPEECH_HOUR = 1.00  # S0
GB_SECOND = 0.000026  # Flex Consumption, on demand; its price per execution was not found
READ = 0.004 / 1e4  # hot tier, locally redundant; also for other operations than writes
WRITE = 0.05 / 1e4
GB_MONTH = 0.0184
EVENT = 0.60 / 1e6
EVENTS = 3  # upload, transcript (filtered ones count), delivery
SPEECH_SOURCE = "1.00 an hour (repositories since 2020; Microsoft's page shows none)"
FUNCTIONS_SOURCE = "0.000026 a GB-s (modal.com, May 2025)"
STORAGE_SOURCE = "0.004 and 0.05 per 10,000, 0.0184 a GB and month (course notes, undated; 2023)"
EVENTS_SOURCE = "0.60 a million (Microsoft's Q&A, undated)"


def rows(azurite: Azurite) -> list[Row]:
    """Calculate the most expensive case: one instance per recording, and speech from end to end.

    Recordings that share an instance divide its GB-seconds. The host's own use of storage (its queue, its leases) is
    not measured here.
    """
    say("  the cost of a thousand recordings of a minute")
    with speech_service(TYPICAL) as service, Environment.create(azurite, service) as environment:
        environment.upload("minute.wav", wav(without_pauses(MINUTE)))
        job = environment.new_job()
        storage, started = NetworkCounter(), time.perf_counter()
        job.run(environment.audio.container_name, "minute.wav")
        seconds = time.perf_counter() - started
        reads, writes = storage.reads, 1 + storage.writes  # the upload is a write too
        environment.check("minute.wav")
        sent = environment.document("minute.wav")["recognition"]["audioSecondsSent"]
    stored_gb = MINUTE * BYTES_PER_SECOND / 1e9
    parts = {
        f"Speech ({sent:.1f} s sent each)": (sent / 3600 * SPEECH_HOUR, SPEECH_SOURCE),
        f"Functions ({seconds * INSTANCE_GB:.1f} GB-s each)": (seconds * INSTANCE_GB * GB_SECOND, FUNCTIONS_SOURCE),
        f"storage ({reads} reads, {writes} writes, a month of WAV each)": (
            reads * READ + writes * WRITE + stored_gb * GB_MONTH,
            STORAGE_SOURCE,
        ),
        f"events ({EVENTS} each)": (EVENTS * EVENT, EVENTS_SOURCE),
    }
    total = sum(price for price, _ in parts.values())
    return [
        _row(f"a thousand one-minute recordings, {name}", RECORDINGS * price, source)
        for name, (price, source) in [*parts.items(), ("in all", (total, "free grants left out"))]
    ]


def _row(what: str, dollars: float, source: str) -> Row:
    return Row(what, source, f"{dollars:.4f} USD" if dollars < 0.1 else f"{dollars:.2f} USD", "", [dollars], "USD")
