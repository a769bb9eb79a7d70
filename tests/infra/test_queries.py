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
# The fields of a recording's line in the log.
LOGGED = {
    "event",
    "name",
    "status",
    "code",
    "language",
    "audioSeconds",
    "audioSecondsSent",
    "requests",
    "retries",
    "seconds",
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


def test_queries_use_only_fields_that_are_logged() -> None:
    code = "".join(file.read_text() for file in (PROJECT / "transcription").rglob("*.py"))
    used = {field for text in QUERIES.values() for field in re.findall(r"\breport\.(\w+)", text)}
    assert {"audioSeconds", "audioSecondsSent", "status", "retries"} <= used <= LOGGED
    for field in used:
        assert f'"{field}":' in code, f"no line in the log has {field}"


def test_sampled_lines_count_for_the_lines_that_they_represent() -> None:
    for name, text in QUERIES.items():
        for total in re.findall(r"\b(?:sum|sumif)\(.*?report\..*?\)(?=,|\n| /)", text):
            assert "ItemCount" in total, f"{name}: {total}"
        assert "count()" not in text, name


def test_an_abandoned_upload_raises_one_alert() -> None:
    assert 'report.code != "Abandoned"' in QUERIES["failed-documents"]


def test_a_recording_with_several_lines_is_counted_once() -> None:
    for name in ("audio-seconds", "cost-per-audio-hour"):
        assert "Recordings = dcount(Name)" in QUERIES[name]
        assert "AudioSeconds = max(" in QUERIES[name]


def test_the_poison_query_names_the_function_that_reads_the_poison_queue() -> None:
    assert 'Name == "abandoned"' in QUERIES["poison-queue"]
