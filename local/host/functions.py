"""The indexed functions' triggers and limits: the containers and queues to watch, their connections, and schedules."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.host.errors import HostError
from local.host.schedule import next_occurrence

# The real host's own defaults, for what host.json leaves out.
DEFAULT_POISON_THRESHOLD = 5
DEFAULT_PARALLELISM = 8 * (os.cpu_count() or 1)
DEFAULT_QUEUE_BATCH = 16


@dataclass(frozen=True)
class BlobTrigger:
    """A function that is called for every new blob of a container."""

    function: str
    parameter: str
    connection: str
    container: str
    pattern: re.Pattern[str]

    @property
    def function_id(self) -> str:
        """Return the function's name in messages and receipts."""
        return f"Host.Functions.{self.function}"


@dataclass(frozen=True)
class QueueTrigger:
    """A function that is called for every message of a queue."""

    function: str
    parameter: str
    connection: str
    queue: str


@dataclass(frozen=True)
class TimerTrigger:
    """A function that is called at the times of a schedule, in NCRONTAB."""

    function: str
    parameter: str
    schedule: str


Trigger = BlobTrigger | QueueTrigger | TimerTrigger


@dataclass(frozen=True)
class Limits:
    """The limits in host.json: deliveries at the same time, and tries before the poison queue.

    The real host fetches `batchSize` messages of a queue when at most `newBatchThreshold` are in progress. So
    `queue_parallel` is the sum. `queue_retry_delay` is the time between two tries of a queue message, in seconds. Blobs
    are retried at once.
    """

    blob_parallel: int
    blob_tries: int
    queue_parallel: int
    queue_tries: int
    queue_retry_delay: int

    @classmethod
    def read(cls, app: Path) -> "Limits":
        """Read the app's host.json, with the real host's defaults."""
        extensions = json.loads((app / "host.json").read_text()).get("extensions", {})
        blobs, queues = extensions.get("blobs", {}), extensions.get("queues", {})
        batch = queues.get("batchSize", DEFAULT_QUEUE_BATCH)
        return cls(
            blob_parallel=blobs.get("maxDegreeOfParallelism", DEFAULT_PARALLELISM),
            blob_tries=blobs.get("poisonBlobThreshold", DEFAULT_POISON_THRESHOLD),
            queue_parallel=batch + queues.get("newBatchThreshold", batch // 2),
            queue_tries=queues.get("maxDequeueCount", DEFAULT_POISON_THRESHOLD),
            queue_retry_delay=seconds(queues.get("visibilityTimeout", "00:00:00")),
        )


def seconds(duration: str) -> int:
    """Convert host.json's `hh:mm:ss` to seconds."""
    hours, minutes, rest = map(int, duration.split(":"))
    return 3600 * hours + 60 * minutes + rest


def triggers(functions: list[dict[str, Any]], settings: Mapping[str, str]) -> list[Trigger]:
    """Return each function's trigger. Raises HostError for bindings that this host does not support."""
    return [trigger(function["name"], function["bindings"], settings) for function in functions]


def trigger(name: str, bindings: list[dict[str, Any]], settings: Mapping[str, str]) -> Trigger:
    """Return the trigger of one function. Raises HostError if it has other bindings too, or an unsupported trigger."""
    if len(bindings) != 1:
        raise HostError(f"{name}: the stand-in host supports functions with a trigger and no other binding.")
    (binding,) = bindings
    connection = binding.get("connection") or "AzureWebJobsStorage"
    match binding["type"]:
        case "blobTrigger":
            if binding.get("source", "LogsAndContainerScan") != "LogsAndContainerScan":
                raise HostError(f"{name}: there is no Event Grid here. Set BLOB_TRIGGER_SOURCE=LogsAndContainerScan.")
            container, _, blob = expand(binding["path"], settings).partition("/")
            return BlobTrigger(name, binding["name"], connection, container, blob_pattern(blob or "{name}"))
        case "queueTrigger":
            return QueueTrigger(name, binding["name"], connection, expand(binding["queueName"], settings).lower())
        case "timerTrigger":
            if binding.get("runOnStartup"):
                raise HostError(f"{name}: the stand-in host has no runOnStartup. Leave it out, or set it to false.")
            return TimerTrigger(name, binding["name"], checked_schedule(name, expand(binding["schedule"], settings)))
        case other:
            raise HostError(f"{name}: the stand-in host has no {other}. Install Azure Functions Core Tools for it.")


def checked_schedule(name: str, schedule: str) -> str:
    """Return the schedule. Raises HostError if it is wrong, because the real host does not start such a function."""
    try:
        next_occurrence(schedule, datetime.now(UTC))
    except ValueError as error:
        raise HostError(f"{name}: {error}") from error
    return schedule


def expand(text: str, settings: Mapping[str, str]) -> str:
    """Replace each `%NAME%` by the app setting. Raises HostError if one is missing, as the real host does."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in settings:
            raise HostError(f"A binding uses '%{match[1]}%', but there is no such setting. Set {match[1]}.")
        return settings[match[1]]

    return re.sub("%([^%]+)%", value, text)


def blob_pattern(template: str) -> re.Pattern[str]:
    """Return a pattern where `{name}` and the like match any text, slashes included. Everything else is literal."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)), re.S)
