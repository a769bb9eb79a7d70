"""The triggers and limits that the stand-in host reads from bindings and host.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.host import HostError
from local.host.functions import BlobTrigger, Limits, QueueTrigger, TimerTrigger, Trigger, blob_pattern, triggers

BLOB = {"type": "blobTrigger", "name": "upload", "path": "audio/{name}", "connection": "AudioStorage"}
QUEUE = {"type": "queueTrigger", "name": "message", "queueName": "Messages", "connection": "AudioStorage"}
TIMER = {"type": "timerTrigger", "name": "timer", "schedule": "%SCHEDULE%", "runOnStartup": False}


def only_trigger(*bindings: dict[str, Any], **settings: str) -> Trigger:
    (trigger,) = triggers([{"name": "f", "bindings": list(bindings)}], settings)
    return trigger


def test_a_blob_trigger_watches_a_container() -> None:
    trigger = only_trigger(BLOB | {"source": "LogsAndContainerScan"})
    assert isinstance(trigger, BlobTrigger)
    assert (trigger.container, trigger.parameter, trigger.function_id) == ("audio", "upload", "Host.Functions.f")


def test_a_queue_trigger_watches_a_queue() -> None:
    assert only_trigger(QUEUE) == QueueTrigger("f", "message", "AudioStorage", "messages")


def test_a_timer_trigger_has_a_schedule() -> None:
    assert only_trigger(TIMER, SCHEDULE="0 */5 * * * *") == TimerTrigger("f", "timer", "0 */5 * * * *")


def test_a_wrong_schedule_stops_the_start() -> None:
    with pytest.raises(HostError, match=r"f: 'hourly' is no schedule.* Use six fields"):
        only_trigger(TIMER, SCHEDULE="hourly")


def test_settings_in_a_path_are_replaced() -> None:
    trigger = only_trigger(BLOB | {"path": "%BOX%/{name}"}, BOX="recordings")
    assert isinstance(trigger, BlobTrigger)
    assert trigger.container == "recordings"


def test_a_missing_setting_in_a_path_stops_the_start() -> None:
    with pytest.raises(HostError, match="Set BOX"):
        only_trigger(BLOB | {"path": "%BOX%/{name}"})


@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        ([BLOB | {"source": "EventGrid"}], "BLOB_TRIGGER_SOURCE=LogsAndContainerScan"),
        ([{"type": "httpTrigger", "name": "request"}], "no httpTrigger"),
        ([TIMER | {"schedule": "0 0 * * * *", "runOnStartup": True}], "no runOnStartup"),
        ([BLOB, {"type": "blob", "name": "container"}], "no other binding"),
    ],
)
def test_unsupported_bindings_are_refused(bindings: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(HostError, match=message):
        only_trigger(*bindings)


@pytest.mark.parametrize(
    ("template", "name", "groups"),
    [
        ("{name}", "fr-FR/a b.wav", {"name": "fr-FR/a b.wav"}),
        ("{name}.wav", "a.wav", {"name": "a"}),
        ("{name}.wav", "a.mp3", None),
        ("in/{name}", "in/a", {"name": "a"}),
        ("{name}", "two\nlines", {"name": "two\nlines"}),
    ],
)
def test_a_pattern_matches_names(template: str, name: str, groups: dict[str, str] | None) -> None:
    match = blob_pattern(template).fullmatch(name)
    assert (match.groupdict() if match else None) == groups


def test_host_json_sets_the_limits(tmp_path: Path) -> None:
    blobs = {"maxDegreeOfParallelism": 3, "poisonBlobThreshold": 2}
    queues = {"batchSize": 3, "newBatchThreshold": 2, "maxDequeueCount": 4, "visibilityTimeout": "00:01:30"}
    (tmp_path / "host.json").write_text(json.dumps({"extensions": {"blobs": blobs, "queues": queues}}))
    assert Limits.read(tmp_path) == Limits(
        blob_parallel=3, blob_tries=2, queue_parallel=5, queue_tries=4, queue_retry_delay=90
    )


def test_without_limits_the_real_hosts_defaults_apply(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    limits = Limits.read(tmp_path)
    assert (limits.blob_tries, limits.queue_tries, limits.queue_parallel, limits.queue_retry_delay) == (5, 5, 24, 0)
    assert limits.blob_parallel % 8 == 0
