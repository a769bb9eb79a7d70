"""Tests that docs/deploy.md agrees with infra/."""

import json
import re

from infra import redrive
from local.tools import PROJECT
from tests.infra.arm import Deployment, Json
from tests.infra.conftest import INFRA

DOC = (PROJECT / "docs" / "deploy.md").read_text()


def test_the_documented_parallelism_is_that_of_the_host() -> None:
    extensions = json.loads((PROJECT / "host.json").read_text())["extensions"]
    blobs, queues = extensions["blobs"], extensions["queues"]
    section = DOC.partition("\n## Quotas\n")[2].partition("\n## ")[0]
    assert f"`maxDegreeOfParallelism` is {blobs['maxDegreeOfParallelism']}" in section
    assert f"`batchSize` {queues['batchSize']} and `newBatchThreshold` {queues['newBatchThreshold']}" in section


def test_the_alerts_that_always_need_somebody_are_named_and_all_are_paid_for(main_template: Json) -> None:
    rules = Deployment(main_template).all("Microsoft.Insights/scheduledQueryRules")
    (count,) = re.findall(r"^\| alerts, .* \| (\d+) × 1\.50 ", DOC, re.MULTILINE)
    assert int(count) == len(rules)
    urgent = {each["properties"]["displayName"] for each in rules if each["properties"]["severity"] == 1}
    (sentence,) = re.findall(r"say when to act\. ([^.]*) always need you\.", DOC)
    named = re.findall(r"\*([^*]+)\*", sentence)
    assert urgent == {f"Transcription: {' '.join(name.lower().split())}" for name in named}


def test_every_query_is_explained_and_every_mentioned_parameter_exists() -> None:
    rows = re.findall(r"^\| ([a-z, ]+) \|", DOC, re.MULTILINE)
    explained = {name for row in rows for name in row.split(", ")}
    assert {file.stem.replace("-", " ") for file in (INFRA / "queries").glob("*.kql")} <= explained
    parameters = set(re.findall(r"^param (\w+)", (INFRA / "main.bicep").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bparam (\w+)", DOC)) <= parameters


def test_documented_commands_have_valid_options() -> None:
    help_text = (INFRA / "deploy.sh").read_text().partition("\nEND\n")[0]
    for options in re.findall(r"infra/deploy\.sh((?: --?[\w-]+(?: [\w<][^ `]*)?)*)", DOC):
        assert all(f"{option} " in help_text for option in re.findall(r"--[\w-]+", options)), options
    for text in (DOC, (PROJECT / "README.md").read_text()):
        commands = re.findall(r"python (?:\S*/)?redrive\.py ([^`\n]*)", text)
        assert commands
        for options in commands:
            assert redrive.parser().parse_args(options.split()).account_url, options


def test_the_system_key_is_changed_and_used_in_one_command() -> None:
    (command,) = re.findall(r"^az functionapp keys set .*$", DOC, re.MULTILINE)
    assert command.endswith("&& infra/deploy.sh --group <group> --events")


def test_links_within_the_page_have_a_target() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", DOC, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", DOC)) <= anchors


def test_the_costs_are_calculated_correctly() -> None:
    costs = [float(each) for each in re.findall(r"^\| (?!alerts|sweeps).*\| (\d+\.\d+) \|$", DOC, re.MULTILINE)]
    assert len(costs) == 5
    assert round(sum(costs)) == 18
    assert round(1000 / 60 * 1.00, 2) == costs[0]
    assert round(1000 * 20 * 2 * 0.000026, 2) == costs[1]
