"""Tests that docs/deploy.md agrees with infra/."""

import re
from typing import Any

import pytest

from infra import redrive
from local.tools import PROJECT
from tests.infra.arm import Json, Scope
from tests.infra.conftest import INFRA

DOC = (PROJECT / "docs" / "deploy.md").read_text()


def test_the_table_of_quotas_agrees_with_the_template(main_template: Json) -> None:
    rows = re.findall(r"^\| `(\w\d)` \| (\d+|counts as 1).*? \| (\d+|any).*? \| (\d+) \|$", DOC, re.MULTILINE)
    assert len(rows) == 4
    for sku, quota, maximum, instances in rows:
        parameters: dict[str, Any] = {} if sku == "F0" else {"speechConcurrentRequests": int(quota)}
        parameters |= {} if maximum == "any" else {"maximumInstances": int(maximum)}
        (app,) = (
            each
            for each in Scope(main_template, {"speechSku": sku, **parameters}).deployed()
            if each["type"] == "Microsoft.Web/sites"
        )
        scale = app["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        assert scale["maximumInstanceCount"] == int(instances)


def test_the_alerts_that_always_need_somebody_are_named_and_all_are_paid_for(main_template: Json) -> None:
    resources = list(Scope(main_template, {}).deployed())
    rules = [each for each in resources if each["type"] == "Microsoft.Insights/scheduledQueryRules"]
    (count,) = re.findall(r"^\| alerts, .* \| (\d+) × 1\.50 ", DOC, re.MULTILINE)
    assert int(count) == len(rules)
    urgent = {each["properties"]["displayName"] for each in rules if each["properties"]["severity"] == 1}
    assert urgent == {"Transcription: unwritten documents", "Transcription: abandoned uploads"}
    assert "*Unwritten documents* and *abandoned\nuploads* always need you" in DOC


def test_every_query_is_explained_and_every_mentioned_parameter_exists() -> None:
    for file in (INFRA / "queries").glob("*.kql"):
        assert f"| {file.stem.replace('-', ' ')} |" in DOC
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
    table = DOC.partition("\n## Costs\n")[2].partition("| **together** |")[0]
    costs = [float(each) for each in re.findall(r"^\| .*\| (\d+\.\d+) \|$", table, re.MULTILINE)]
    assert len(costs) == 6
    assert round(sum(costs)) == 18
    assert round(1000 / 60 * 1.00, 2) == costs[0]
    assert round(1000 * 20 * 2 * 0.000026, 2) == costs[1]
    assert costs[2] == 1000 * 0.40 / 1e6


def test_the_table_of_large_backlogs_is_calculated_as_the_page_says() -> None:
    rows = re.findall(r"^\| (\d+) minutes? \| ([\d,.]+) \| (.+) \| (.+) \| (.+) \| (.+) \|$", DOC, re.MULTILINE)
    assert [int(row[0]) for row in rows] == [1, 30, 120]
    for row in rows:
        minutes, *shown = (float(cell.replace(",", "")) for cell in row)
        audio_hours = 10_000 * minutes / 60
        hours = audio_hours / (100 * 30 / (1.0 + 0.1 * 30))
        app = hours * 3600 * 12 * 2 * 0.000026 + 10_000 * 0.40 / 1e6
        storage = 10_000 * minutes * 1.92e-3 * 0.0184
        expected = [audio_hours, hours, audio_hours * 1.00, app, storage]
        assert shown == pytest.approx(expected, rel=0.11)  # rounded to two digits


def test_the_times_of_all_steps_add_up_and_the_help_agrees() -> None:
    table = DOC.partition("| step | usual minutes | at most |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.+) \| \**(\d+)(?:–(\d+))?\** \| \**(\d+)\** \|$", table, re.MULTILINE)
    steps = [[int(least), int(most or least), int(longest)] for _, least, most, longest in rows]
    assert len(steps) == 8
    *each, together = steps
    assert [sum(column) for column in zip(*each, strict=True)] == together
    sentence = f"Takes {together[0]} to {together[1]} minutes, up to an hour if"
    assert sentence in (INFRA / "deploy.sh").read_text()
    assert f"takes {together[0]} to {together[1]} minutes" in (PROJECT / "README.md").read_text()
    assert round(together[2] / 60) == 1


def test_every_resource_provider_is_named(main_template: Json, events_template: Json) -> None:
    used = set(re.findall(r"'type': '(Microsoft\.\w+)/", f"{main_template} {events_template}"))
    assert "Microsoft.Web" in used
    always_registered = {"Microsoft.Authorization", "Microsoft.Resources"}
    listed = DOC.partition("resource providers are registered")[2].partition("\n\n")[0]
    assert used - always_registered <= set(re.findall(r"`(Microsoft\.\w+)`", listed))
