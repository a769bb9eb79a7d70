"""Tests that docs/deploy.md agrees with infra/."""

import re

from infra import redrive
from local.tools import PROJECT
from tests.infra.conftest import INFRA

DOC = (PROJECT / "docs" / "deploy.md").read_text()


def test_the_table_of_quotas_agrees_with_the_template() -> None:
    rows = re.findall(
        r"^\| `(\w\d)` \| (\d+|counts as 1).*? \| (\d+|any).*? \| (\d+) \S (\d+) = (\d+) \|$", DOC, re.MULTILINE
    )
    assert len(rows) == 4
    for sku, quota, maximum, *result in rows:
        requests = 1 if sku == "F0" else int(quota)
        instances = requests if maximum == "any" else min(int(maximum), requests)
        assert [instances, requests // instances, instances * (requests // instances)] == [int(each) for each in result]


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
    costs = [float(each) for each in re.findall(r"^\| (?!alerts).*\| (\d+\.\d+) \|$", DOC, re.MULTILINE)]
    assert len(costs) == 5
    assert round(sum(costs)) == 18
    assert round(1000 / 60 * 1.00, 2) == costs[0]
    assert round(1000 * 20 * 2 * 0.000026, 2) == costs[1]
