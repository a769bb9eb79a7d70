"""Tests of the saved queries: Microsoft's parser checks them against the tables' documented columns, without data."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local.tools import PROJECT
from tests.infra import tools
from tests.infra.conftest import INFRA

pytestmark = pytest.mark.timeout(300)  # installs the parser the first time

QUERIES = {file.stem: file.read_text() for file in sorted((INFRA / "queries").glob("*.kql"))}
FUNCTIONS = {"transcribe", "again", "abandoned", "sweep"}
OF_EVERY_TABLE = "TimeGenerated:datetime, Type:string, _ResourceId:string"
OF_EVERY_APP_TABLE = f"{OF_EVERY_TABLE}, Properties:dynamic, OperationId:string, AppRoleName:string, ItemCount:int"
TABLES = {
    "AppTraces": f"({OF_EVERY_APP_TABLE}, Message:string, SeverityLevel:int)",
    "AppRequests": f"({OF_EVERY_APP_TABLE}, Name:string, Success:bool, ResultCode:string, DurationMs:real)",
    "AegDeliveryFailureLogs": f"({OF_EVERY_TABLE}, Category:string, EventSubscriptionName:string, Message:string, "
    "OperationName:string)",
    "AzureMetrics": f"({OF_EVERY_TABLE}, ResourceId:string, ResourceProvider:string, MetricName:string, Average:real, "
    "Count:real, Maximum:real, Minimum:real, Total:real, TimeGrain:string, UnitName:string)",
}
# The fields of the lines of JSON in the log, by event.
LOGGED = {
    "transcription": {
        "name",
        "status",
        "code",
        "language",
        "audioSeconds",
        "audioSecondsSent",
        "requests",
        "retries",
        "seconds",
    },
    "requeued": {"name", "reason", "seconds"},
    "sweep": {"lookedAt", "missing", "queued", "repeated", "oldestSeconds"},
}

Diagnose = Callable[[Mapping[str, str]], dict[str, list[list[str]]]]


@pytest.fixture(scope="module")
def diagnose(tmp_path_factory: pytest.TempPathFactory) -> Diagnose:
    """Return a function that lists the parser's complaints about each query, as (code, message)."""
    node, parser = tools.kusto()

    def run(queries: Mapping[str, str]) -> dict[str, list[list[str]]]:
        file = tmp_path_factory.mktemp("kusto") / "input.json"
        file.write_text(json.dumps({"tables": TABLES, "queries": queries}))
        script = Path(__file__).parent / "kusto.js"
        done = subprocess.run([node, script, parser, file], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    return run


def test_every_query_matches_the_tables(diagnose: Diagnose) -> None:
    assert diagnose(QUERIES) == {name: [] for name in QUERIES}


def test_mistakes_in_queries_are_found(diagnose: Diagnose) -> None:
    wrong = {
        "column": "AppTraces | where Mesage has 'x'",
        "table": "AppTrace | take 1",
        "type": "AppRequests | where Success == 'yes' | extend x = DurationMs + Name",
        "syntax": "AppTraces | where",
    }
    errors = {name: {code for code, _ in each} for name, each in diagnose(wrong).items()}
    assert errors["column"] == {"KS142"}
    assert errors["table"] == {"KS204"}
    assert errors["type"]
    assert errors["syntax"]


def events_of(text: str) -> list[str]:
    """Return the events of the log lines that a query reads. A query of other tables has none."""
    return re.findall(r'report\.event == "(\w+)"', text)


@pytest.mark.parametrize("event", LOGGED)
def test_queries_use_only_fields_that_are_logged(event: str) -> None:
    code = "".join(file.read_text() for file in (PROJECT / "transcription").rglob("*.py"))
    queries = [text for text in QUERIES.values() if event in events_of(text)]
    used = {field for text in queries for field in re.findall(r'\breport(?:\.|\[")(\w+)', text)} - {"event"}
    assert used
    assert used <= LOGGED[event]
    for field in used:
        assert f'"{field}":' in code, f"no line in the log has {field}"


def test_each_query_of_the_log_reads_one_event_and_skips_other_lines_before_parsing_them() -> None:
    for name, text in QUERIES.items():
        if "report." in text:
            (event,) = events_of(text)
            assert event in LOGGED
            first = f'where Message startswith "{{" and Message has "{event}" | extend report = parse_json(Message)'
            assert first in " ".join(text.split()), name


def test_sampled_lines_count_for_the_lines_that_they_represent() -> None:
    for name, text in QUERIES.items():
        for total in re.findall(r"\b(?:sum|sumif)\(.*?report\..*?\)(?=,|\n| /)", text):
            assert "ItemCount" in total, f"{name}: {total}"
        assert "count()" not in text, name


def test_a_failed_upload_raises_one_alert() -> None:
    assert 'report.status == "Failed" and report.code !in ("Abandoned", "Exhausted")' in QUERIES["failed-documents"]
    assert 'report.code == "Exhausted"' in QUERIES["exhausted"]
    assert 'report.code == "Abandoned"' in QUERIES["abandoned-uploads"]


def test_an_exhausted_upload_is_found_whatever_its_status() -> None:
    assert "where report.status" not in QUERIES["exhausted"]
    assert "and report.status" not in QUERIES["exhausted"]


def test_an_upload_counts_as_given_up_only_if_the_last_attempt_says_so() -> None:
    assert '| join kind=leftsemi (AppRequests | where Name == "again") on OperationId' in QUERIES["abandoned-uploads"]


def test_refusals_that_find_the_quota_raise_no_alert() -> None:
    assert "| where Retries >= 10 and Retries * 3 >= Requests * 2\n" in QUERIES["throttling"]


def test_the_reasons_for_queueing_again_are_counted_and_only_storages_refusals_raise_an_alert() -> None:
    assert "by Reason = tostring(report.reason)" in QUERIES["requeued"]
    assert 'report.reason == "unwritten"' in QUERIES["unwritten-documents"]


def test_only_a_sweep_that_finds_uploads_again_raises_an_alert() -> None:
    assert '| where report.event == "sweep"\n' in QUERIES["sweeps"]
    assert '| where report.event == "sweep" and tolong(report.repeated) > 0\n' in QUERIES["repeated-sweeps"]
    columns = [QUERIES[name].partition("| project")[2] for name in ("sweeps", "repeated-sweeps")]
    assert columns[0] == columns[1]


def test_the_cost_includes_the_time_of_every_function() -> None:
    functions = re.search(r"where Name in \((.*)\)", QUERIES["cost-per-audio-hour"])
    assert functions
    assert set(re.findall(r'"(\w+)"', functions[1])) == FUNCTIONS


def test_a_recording_with_several_lines_is_counted_once() -> None:
    for name in ("audio-seconds", "cost-per-audio-hour"):
        assert "Recordings = dcount(Name)" in QUERIES[name]
        assert "AudioSeconds = max(" in QUERIES[name]


def test_the_queries_of_calls_name_functions_of_the_app() -> None:
    assert 'Name == "abandoned"' in QUERIES["poison-queue"]
    assert 'Name in ("transcribe", "again", "sweep") and Success == false' in QUERIES["failed-calls"]
    compared = re.findall(r'\bName (?:== |in \()("[^)\n|]+)', "\n".join(QUERIES.values()))
    named = {name for text in compared for name in re.findall(r'"(\w+)"', text)}
    assert {"transcribe", "again", "sweep", "abandoned"} <= named <= FUNCTIONS
