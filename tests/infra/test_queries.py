"""The saved queries, bound by Microsoft's own parser against the tables' documented columns. No data is behind it."""

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local.tools import PROJECT
from tests.infra import tools
from tests.infra.conftest import INFRA

pytestmark = pytest.mark.timeout(300)  # the parser may have to be installed

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
#: What one recording's line in the log holds.
REPORTED = {
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
    """Queries → what the parser has against each, as (code, message)."""
    node, parser = tools.kusto()

    def run(queries: Mapping[str, str]) -> dict[str, list[list[str]]]:
        file = tmp_path_factory.mktemp("kusto") / "input.json"
        file.write_text(json.dumps({"tables": TABLES, "queries": queries}))
        script = Path(__file__).parent / "kusto.js"
        done = subprocess.run([node, script, parser, file], capture_output=True, text=True, timeout=60, check=True)
        return json.loads(done.stdout)

    return run


def test_every_query_fits_the_tables(diagnose: Diagnose) -> None:
    assert diagnose(QUERIES) == {name: [] for name in QUERIES}


def test_what_does_not_fit_is_found(diagnose: Diagnose) -> None:
    wrong = {
        "column": "AppTraces | where Mesage has 'x'",
        "table": "AppTrace | take 1",
        "type": "AppRequests | where Success == 'yes' | extend x = DurationMs + Name",
        "syntax": "AppTraces | where",
    }
    found = {name: {code for code, _ in each} for name, each in diagnose(wrong).items()}
    assert found["column"] == {"KS142"}
    assert found["table"] == {"KS204"}
    assert found["type"]
    assert found["syntax"]


def test_only_what_is_logged_of_a_recording_is_asked_for() -> None:
    code = "".join(file.read_text() for file in (PROJECT / "transcription").rglob("*.py"))
    asked_for = {field for text in QUERIES.values() for field in re.findall(r"\breport\.(\w+)", text)}
    assert {"audioSeconds", "audioSecondsSent", "status", "retries"} <= asked_for <= REPORTED
    for field in asked_for:
        assert f'"{field}":' in code, f"no line in the log has {field}"


def test_sampled_lines_count_for_what_they_stand_for() -> None:
    for name, text in QUERIES.items():
        for total in re.findall(r"\b(?:sum|sumif)\(.*?report\..*?\)(?=,|\n| /)", text):
            assert "ItemCount" in total, f"{name}: {total}"
        assert "count()" not in text, name


def test_an_upload_that_was_given_up_is_one_alert() -> None:
    assert 'report.code != "Abandoned"' in QUERIES["failed-documents"]


def test_a_recording_with_several_lines_is_counted_once() -> None:
    for name in ("audio-seconds", "cost-per-audio-hour"):
        assert "Recordings = dcount(Name)" in QUERIES[name]
        assert "AudioSeconds = max(" in QUERIES[name]


def test_the_poison_query_asks_for_the_function_that_takes_the_poison_queue() -> None:
    assert 'Name == "abandoned"' in QUERIES["poison-queue"]
