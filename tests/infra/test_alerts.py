"""Tests of the alerts and the workbook: what is compiled, and which rows of the log raise which alert.

An interpreter runs the queries. It is not Azure's, so `test_queries.py` lets Microsoft's parser check them too.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.infra import tools
from tests.infra.arm import Deployment, Json
from tests.infra.conftest import INFRA
from tests.infra.tables import TABLES

pytestmark = pytest.mark.timeout(300)  # installs the interpreter the first time

LOG_ALERTS = "Microsoft.Insights/scheduledQueryRules"
METRIC_ALERTS = "Microsoft.Insights/metricAlerts"
MINUTES = {"PT30M": 30, "PT6H": 360, "P1D": 1440, "P2D": 2880}
NEEDS_SOMEBODY = {"unwritten-documents", "abandoned-uploads", "idle-queue", "missing-sweeps"}
ON_THE_SWEEP = {"repeated-sweeps", "old-backlog", "idle-queue", "missing-sweeps"}

Row = tuple[str, Json]  # a table and the columns; `TimeGenerated` is an age in minutes


@pytest.fixture(scope="module")
def usual(main_template: Json) -> Deployment:
    return Deployment(main_template)


def log_alerts(deployment: Deployment) -> dict[str, Json]:
    """Return the properties of the alerts on the log, by name."""
    return {each["name"].removeprefix("transcription-"): each["properties"] for each in deployment.all(LOG_ALERTS)}


def criterion(alert: Json) -> Json:
    (only,) = alert["criteria"]["allOf"]
    return only


# --- Which rows raise an alert ---


def line(age: float, content: Json | str, operation: str = "1") -> Row:
    message = content if isinstance(content, str) else json.dumps(content)
    return "AppTraces", {"TimeGenerated": age, "Message": message, "OperationId": operation, "ItemCount": 1}


def recording(age: float = 5, operation: str = "1", **fields: Any) -> Row:
    usual = {
        "name": "a.wav",
        "status": "Succeeded",
        "audioSecondsSent": 60.0,
        "requests": 2,
        "retries": 0,
        "seconds": 4,
    }
    return line(age, {"event": "transcription", **usual, **fields}, operation)


def failed(code: str, operation: str = "1", **fields: Any) -> Row:
    return recording(5, operation, **{"status": "Failed", "code": code, **fields})


def requeued(reason: str) -> Row:
    return line(5, {"event": "requeued", "name": "a.wav", "reason": reason, "seconds": 60})


def sweep(age: float = 5, **fields: Any) -> Row:
    usual = {"lookedAt": 9, "missing": 0, "queued": 0, "repeated": 0, "oldestSeconds": 0}
    return line(age, {"event": "sweep", **usual, **fields})


def call(function: str, age: float = 5, *, success: bool = True, minutes: float = 1, operation: str = "1") -> Row:
    """Return the row of a call that began `age` minutes ago."""
    times = {"TimeGenerated": age, "DurationMs": minutes * 60_000.0, "ItemCount": 1}
    return "AppRequests", {"Name": function, "Success": success, "OperationId": operation, **times}


def undelivered(age: float, event: str = "e1", subscription: str = "TRANSCRIPTION-UPLOADS") -> Row:
    name = f" id={event}," if event else ""
    message = f"Message:outcome=Unavailable, latencyInMs=26,{name} systemId=s{age}, state=FilteredFailingDelivery"
    return "AegDeliveryFailureLogs", {
        "TimeGenerated": age,
        "Message": message,
        "EventSubscriptionName": subscription,
        "OperationName": "Deliver",
    }


def every_quarter(hours: float, since: float = 0, **fields: Any) -> list[Row]:
    """Return sweeps from so many hours ago until `since` minutes ago."""
    return [sweep(age, **fields) for age in range(int(since) + 1, int(hours * 60), 15)]


@dataclass(frozen=True)
class Case:
    """Rows that raise an alert, or do not."""

    alert: str
    what: str
    rows: list[Row]
    parameters: Mapping[str, Any] = field(default_factory=dict)


HOST = line(5, "Executing 'Functions.transcribe' (sweep) {")
AT_ONCE = [undelivered(100 + seconds / -60) for seconds in (0, 10, 40, 100)]  # Event Grid's first tries
SCHEDULE = {"settings": {"SWEEP_SCHEDULE": "0 0 3 * * *"}}

RAISED = [
    Case("failed-documents", "an upload that is no audio", [failed("UnsupportedAudio")]),
    Case("failed-documents", "a wrong key", [HOST, recording(), failed("Configuration")]),
    Case("exhausted", "no document but a failure", [failed("Exhausted")]),
    Case("exhausted", "a document with gaps", [failed("Exhausted", status="Partial")]),
    Case("exhausted", "a document without a gap", [failed("Exhausted", status="Succeeded")]),
    Case("unwritten-documents", "storage that refuses one", [requeued("unwritten")]),
    Case("poison-queue", "a call of abandoned", [call("abandoned")]),
    Case("abandoned-uploads", "the last attempt of again", [failed("Abandoned", "7"), call("again", operation="7")]),
    Case("again-failures", "five failed calls", [call("again", success=False)] * 5),
    Case("throttling", "two of three refused", [recording(requests=30, retries=20)]),
    Case("repeated-sweeps", "an upload without an answer", [sweep(missing=1, repeated=1)]),
    Case(
        "audio-seconds",
        "51 hours in a day",
        [recording(60 * hour, name=str(hour), audioSecondsSent=9180.0) for hour in range(20)],
    ),
    Case(
        "audio-seconds",
        "4 hours where 3 are usual",
        [recording(audioSecondsSent=14_400.0)],
        {"alertAudioHoursPerDay": 3},
    ),
    Case("old-backlog", "an upload of yesterday", [sweep(oldestSeconds=25 * 3600, missing=1)]),
    Case("old-backlog", "two hours where one is usual", [sweep(oldestSeconds=7200)], {"alertBacklogHours": 1}),
    Case("undelivered-events", "an event that fails for seven minutes", [*AT_ONCE, undelivered(93.3)]),
    Case("undelivered-events", "messages that name no event", [undelivered(50, ""), undelivered(40, "")]),
    Case("idle-queue", "no call at all", every_quarter(2, queued=1, missing=1)),
    Case("idle-queue", "a queue that is full", [*every_quarter(2, 90, queued=1000), *every_quarter(1.5, missing=2000)]),
    Case("idle-queue", "only calls from before", [*every_quarter(3, queued=1), call("transcribe", 190, minutes=5)]),
    Case("idle-queue", "only other functions", [*every_quarter(2, queued=1), call("sweep"), call("abandoned")]),
    Case("missing-sweeps", "none for 65 minutes", [line(300, "Host started"), sweep(65), HOST]),
    Case("missing-sweeps", "calls that fail", [line(300, "Host started"), call("sweep", success=False), HOST]),
    Case("missing-sweeps", "a host that is silent since", [line(1500, "Host started"), sweep(1490)]),
    Case("missing-sweeps", "none for a day where one is due", [line(2000, "Host started"), sweep(1600)], SCHEDULE),
]

NOT_RAISED = [
    Case("failed-documents", "transcripts and gaps", [recording(), recording(status="Partial"), HOST]),
    Case("failed-documents", "what other alerts are about", [failed("Exhausted"), failed("Abandoned")]),
    Case("failed-documents", "a failure of an hour ago", [recording(60, status="Failed", code="UnsupportedAudio")]),
    Case("exhausted", "other documents", [recording(), failed("UnsupportedAudio"), requeued("time")]),
    Case(
        "unwritten-documents",
        "other reasons to continue",
        [requeued("time"), requeued("claimed"), requeued("unanswered")],
    ),
    Case("poison-queue", "other calls", [call("transcribe"), call("again"), call("sweep", success=False)]),
    Case("abandoned-uploads", "what the host gave up", [failed("Abandoned", "7"), call("abandoned", operation="7")]),
    Case("again-failures", "four failed calls", [*[call("again", success=False)] * 4, *[call("again")] * 9]),
    Case(
        "throttling",
        "refusals that find the quota",
        [recording(requests=30, retries=9), recording(requests=300, retries=150)],
    ),
    Case("repeated-sweeps", "uploads that are tried once", [sweep(missing=3, queued=3)]),
    Case("audio-seconds", "49 hours", [recording(audioSecondsSent=49 * 3600.0)]),
    Case("old-backlog", "uploads of today", [sweep(oldestSeconds=23 * 3600, missing=500, queued=500)]),
    Case("undelivered-events", "a second try", AT_ONCE[:1]),
    Case("undelivered-events", "a restart of two minutes", AT_ONCE),
    Case(
        "undelivered-events",
        "many events that arrive at the second try",
        [undelivered(age, f"e{age}") for age in range(1, 300)],
    ),
    Case(
        "undelivered-events", "somebody else's events", [undelivered(50, "e1", "OTHER"), undelivered(10, "e1", "OTHER")]
    ),
    Case("idle-queue", "nothing to do", [*every_quarter(3), call("transcribe", 170)]),
    Case("idle-queue", "uploads that wait for their next try", every_quarter(3, missing=2, repeated=2)),
    Case("idle-queue", "an upload that was queued just now", [*every_quarter(24, 30), sweep(16, queued=1), sweep(1)]),
    Case("idle-queue", "a call that lasts an hour", [*every_quarter(2, queued=1), call("again", 119, minutes=60)]),
    Case("idle-queue", "calls that fail", [*every_quarter(3, queued=1), call("again", 20, success=False)]),
    Case("missing-sweeps", "a sweep every quarter", [*every_quarter(4), HOST]),
    Case(
        "missing-sweeps",
        "one sweep that failed",
        [line(300, "Host started"), sweep(31), call("sweep", 16, success=False)],
    ),
    Case("missing-sweeps", "a first deployment", [line(20, "Host started"), HOST]),
    Case("missing-sweeps", "a deployment without an app yet", []),
    Case("missing-sweeps", "one sweep a day where that is chosen", [line(2000, "Host started"), sweep(1400)], SCHEDULE),
]

CASES = RAISED + NOT_RAISED


def name_of(case: Case) -> str:
    return f"{case.alert}: {case.what}"


def run(cases: list[Json]) -> list[list[Json]]:
    """Return the rows that each case's query makes of its rows."""
    command = [tools.kql(), Path(__file__).parent / "run_kql.py"]
    given = json.dumps({"tables": TABLES, "cases": cases})
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    results: list[list[Json]] = json.loads(done.stdout)
    return results


@pytest.fixture(scope="module")
def answers(main_template: Json) -> dict[str, tuple[Json, list[Json]]]:
    """Return the alert and the rows of its query for each case. The query sees only the rows in the alert's window."""
    alerts, given = [], []
    usual = log_alerts(Deployment(main_template))
    for case in CASES:
        chosen = log_alerts(Deployment(main_template, **case.parameters)) if case.parameters else usual
        alert = chosen[case.alert]
        rows: dict[str, list[Json]] = {}
        for table, row in case.rows:
            if row["TimeGenerated"] < MINUTES[alert["windowSize"]]:
                rows.setdefault(table, []).append(row)
        alerts.append(alert)
        given.append({"query": criterion(alert)["query"], "rows": rows})
    pairs = zip(alerts, run(given), strict=True)
    return dict(zip(map(name_of, CASES), pairs, strict=True))


def is_raised(alert: Json, rows: list[Json]) -> bool:
    rule = criterion(alert)
    assert rule["operator"] == "GreaterThan"
    if rule["timeAggregation"] == "Count":
        return len(rows) > rule["threshold"]
    values = [row[rule["metricMeasureColumn"]] for row in rows]
    return {"Total": sum, "Maximum": lambda each: max(each, default=0)}[rule["timeAggregation"]](values) > rule[
        "threshold"
    ]


@pytest.mark.parametrize("case", RAISED, ids=name_of)
def test_an_alert_is_raised_by_its_problem(answers: dict[str, tuple[Json, list[Json]]], case: Case) -> None:
    assert is_raised(*answers[name_of(case)])


@pytest.mark.parametrize("case", NOT_RAISED, ids=name_of)
def test_an_alert_is_not_raised_by_anything_else(answers: dict[str, tuple[Json, list[Json]]], case: Case) -> None:
    assert not is_raised(*answers[name_of(case)])


def test_every_alert_has_cases_that_raise_it_and_cases_that_do_not(usual: Deployment) -> None:
    assert {case.alert for case in RAISED} == {case.alert for case in NOT_RAISED} == set(log_alerts(usual))


def test_the_alert_on_missing_sweeps_tells_failed_calls_from_none(
    answers: dict[str, tuple[Json, list[Json]]],
) -> None:
    rows = {what: answers[f"missing-sweeps: {what}"][1] for what in ("calls that fail", "none for 65 minutes")}
    assert [rows[what][0]["FailedCalls"] or 0 for what in rows] == [1, 0]


# --- What is compiled ---


def test_each_alert_reads_its_query_as_it_is_saved(main_template: Json, usual: Deployment) -> None:
    other = {"old-backlog": "sweeps"}
    for name, alert in log_alerts(usual).items():
        assert criterion(alert)["query"] == (INFRA / "queries" / f"{other.get(name, name)}.kql").read_text()
        assert alert["skipQueryValidation"] is True
    assert {each["kind"] for each in usual.all(LOG_ALERTS)} == {"LogAlert"}
    metrics = {each["properties"]["criteria"]["allOf"][0]["metricName"] for each in usual.all(METRIC_ALERTS)}
    assert metrics == {"DeadLetteredCount", "DroppedEventCount"}


def test_a_window_is_at_least_twice_the_frequency_because_logs_come_late(usual: Deployment) -> None:
    for name, alert in log_alerts(usual).items():
        assert alert["evaluationFrequency"] == "PT15M"
        assert MINUTES[alert["windowSize"]] >= 30, name


def test_without_a_sweep_there_is_no_alert_on_it(main_template: Json, usual: Deployment) -> None:
    without = log_alerts(Deployment(main_template, settings={"SWEEP_SCHEDULE": "off"}))
    assert set(log_alerts(usual)) - set(without) == ON_THE_SWEEP


def alert_texts(deployment: Deployment) -> dict[str, str]:
    """Return the description of each alert, without `transcription-` in the name."""
    return {
        each["name"].removeprefix("transcription-"): each["properties"]["description"]
        for kind in (LOG_ALERTS, METRIC_ALERTS)
        for each in deployment.all(kind)
    }


def test_every_alert_says_what_to_do(usual: Deployment) -> None:
    advice = "[Cc]heck that|Raise the quota|The README says|remove it|Fix what|what to fix|Nothing to do unless"
    for name, text in alert_texts(usual).items():
        assert re.search(advice, text), name
        for query in re.findall(r"\b[a-z]+(?:-[a-z]+)+\b", text):
            known = (INFRA / "queries" / f"{query}.kql").exists()
            assert known or query in ("dead-letters", "transcription-again-poison", "transcription-again"), (
                name,
                query,
            )


def test_only_uploads_that_nothing_tries_again_need_the_script(usual: Deployment) -> None:
    texts = alert_texts(usual)
    assert [name for name, text in texts.items() if "redrive" in text] == ["abandoned-uploads"]
    for name in ("poison-queue", "again-failures", "undelivered-events", "DeadLetteredCount", "DroppedEventCount"):
        assert re.search(r"[Tt]he sweep (transcribes|queues)", texts[name]), name


def test_what_always_needs_somebody_is_most_severe(usual: Deployment) -> None:
    assert {name for name, alert in log_alerts(usual).items() if alert["severity"] == 1} == NEEDS_SOMEBODY


@pytest.mark.parametrize("email", ["", "operator@example.com"])
def test_alerts_are_sent_if_an_address_is_given_and_the_script_learns_it(main_template: Json, email: str) -> None:
    deployment = Deployment(main_template, alertEmail=email)
    assert len(deployment.all("Microsoft.Insights/actionGroups")) == bool(email)
    for rule in deployment.all(LOG_ALERTS):
        assert len(rule["properties"]["actions"]["actionGroups"]) == bool(email)
    for rule in deployment.all(METRIC_ALERTS):
        assert len(rule["properties"]["actions"]) == bool(email)
    assert deployment.scope.outputs()["alertsReachSomebody"] == ("yes" if email else "no")


def test_every_query_is_saved_unchanged_and_can_be_saved_again(usual: Deployment) -> None:
    saved = usual.all("Microsoft.OperationalInsights/workspaces/savedSearches")
    files = {f"transcription-{file.stem}": file.read_text() for file in (INFRA / "queries").glob("*.kql")}
    assert {each["name"].split("/")[-1]: each["properties"]["query"] for each in saved} == files
    assert {each["properties"]["etag"] for each in saved} == {"*"}


# --- The workbook ---


@pytest.fixture(scope="module")
def charts(usual: Deployment) -> dict[str, Json]:
    """Return the content of each chart of the workbook, by name."""
    workbook = json.loads(usual.one("Microsoft.Insights/workbooks")["properties"]["serializedData"])
    assert workbook["version"] == "Notebook/1.0"
    return {item["name"]: item["content"] for item in workbook["items"] if item["type"] == 3}


def test_the_workbook_belongs_to_the_workspace_and_is_shared(usual: Deployment) -> None:
    workbook = usual.one("Microsoft.Insights/workbooks")
    workspace = workbook["properties"]["sourceId"]
    assert workspace.startswith("Microsoft.OperationalInsights/workspaces/")
    assert workbook["kind"] == "shared"
    assert workbook["name"].startswith("guid(")
    assert json.loads(workbook["properties"]["serializedData"])["fallbackResourceIds"] == [workspace]


def test_the_workbook_has_the_charts_that_an_operator_looks_at(usual: Deployment, charts: dict[str, Json]) -> None:
    assert list(charts) == ["outcomes", "backlog", "audio", "cost", "limits", "durations"]
    workbook = json.loads(usual.one("Microsoft.Insights/workbooks")["properties"]["serializedData"])
    (time_range,) = (item["content"]["parameters"][0] for item in workbook["items"] if item["type"] == 9)
    for chart in charts.values():
        assert chart["timeContextFromParameter"] == time_range["name"] == "TimeRange"
        assert chart["visualization"] in ("timechart", "barchart")


def test_each_chart_shows_what_its_title_says(charts: dict[str, Json]) -> None:
    fields: dict[str, Any] = {"language": "en-US", "audioSeconds": 3600.0, "audioSecondsSent": 1800.0, "seconds": 8}
    rows = {
        "AppTraces": [
            recording(limit=40, **fields)[1],
            recording(name="b.wav", requests=8, retries=3, limit=20, **fields)[1],
            failed("TooLong", name="c.wav")[1],
            sweep(oldestSeconds=7200)[1],
        ]
    }
    answers = run([{"query": chart["query"], "rows": rows} for chart in charts.values()])
    results = dict(zip(charts, answers, strict=True))
    for result in results.values():
        for row in result:
            del row["Day" if "Day" in row else "TimeGenerated"]
    assert sorted(results["outcomes"], key=str) == [
        {"Recordings": 1, "Outcome": "Failed/TooLong"},
        {"Recordings": 2, "Outcome": "Succeeded"},
    ]
    assert results["backlog"] == [{"OldestHours": 2.0}]
    assert results["audio"] == [{"AudioHours": 2.0, "SentHours": pytest.approx(1.0 + 60 / 3600)}]
    assert [row["SpeechCost"] for row in results["cost"]] == [pytest.approx(1.0 + 60 / 3600)]
    assert results["limits"] == [{"Limit": 30.0, "RefusedPercent": 30.0}]
    assert results["durations"] == [{"Median": 8.0, "Slowest20th": 8.0}]
