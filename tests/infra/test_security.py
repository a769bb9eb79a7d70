"""Tests that checkov, a security scanner, finds no problems in the templates.

It reads neither this Bicep nor templates whose resources have symbols. So it gets the resources that `arm.py` unrolls.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.infra import tools
from tests.infra.arm import Json, Scope
from tests.infra.conftest import EVENT_PARAMETERS

pytestmark = pytest.mark.timeout(900)  # installs the scanner the first time

NO_NETWORK = "without a virtual network only the public one is left; roles and keys protect the resource"
NOT_A_SITE = "the check is meant for a site's configuration; this resource is the list of app settings"

# (check, resource type) → the reason why the check does not apply here
WAIVED = {
    ("CKV_AZURE_59", "Microsoft.Storage/storageAccounts"): NO_NETWORK,
    ("CKV_AZURE_35", "Microsoft.Storage/storageAccounts"): NO_NETWORK,
    (
        "CKV_AZURE_206",
        "Microsoft.Storage/storageAccounts",
    ): "three copies in one region are enough: transcripts can be made again",
    ("CKV_AZURE_134", "Microsoft.CognitiveServices/accounts"): NO_NETWORK,
    ("CKV_AZURE_236", "Microsoft.CognitiveServices/accounts"): "the REST API for short audio is called with the key",
    (
        "CKV_AZURE_238",
        "Microsoft.CognitiveServices/accounts",
    ): "it accesses nothing else, so it needs no identity",
    ("CKV_AZURE_109", "Microsoft.KeyVault/vaults"): NO_NETWORK,
    ("CKV_AZURE_189", "Microsoft.KeyVault/vaults"): NO_NETWORK,
    ("CKV_AZURE_41", "Microsoft.KeyVault/vaults/secrets"): "a Speech key does not expire; docs/deploy.md rotates it",
    (
        "CKV_AZURE_225",
        "Microsoft.Web/serverfarms",
    ): "few regions have it for Flex Consumption; events that an instance loses are delivered again",
    ("CKV_AZURE_78", "Microsoft.Web/sites"): "Flex Consumption has no FTP, and refuses ftpsState",
    (
        "CKV_AZURE_222",
        "Microsoft.Web/sites",
    ): "Event Grid calls the webhook from the public network; the key protects it",
    ("CKV_AZURE_17", "Microsoft.Web/sites"): "Event Grid has no client certificate",
    ("CKV_AZURE_212", "Microsoft.Web/sites"): "always-ready instances would cost while nobody uploads",
    ("CKV_AZURE_213", "Microsoft.Web/sites"): "there is no page to request; alerts watch the uploads instead",
    **{(f"CKV_AZURE_{number}", "Microsoft.Web/sites/config"): NOT_A_SITE for number in (13, 63, 65, 66, 80, 88, 222)},
}


def template(main_template: Json, events_template: Json, folder: Path, **parameters: str) -> Path:
    """Write the resources that these parameters deploy, and return the file."""
    resources = [*Scope(main_template, parameters).deployed(), *Scope(events_template, EVENT_PARAMETERS).deployed()]
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    file = folder / "template.json"
    file.write_text(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": resources}))
    return file


@pytest.fixture(scope="module")
def report(main_template: Json, events_template: Json, tmp_path_factory: pytest.TempPathFactory) -> Json:
    return scan(template(main_template, events_template, tmp_path_factory.mktemp("scan")))


def scan(file: Path) -> Json:
    done = subprocess.run(
        [tools.checkov(), "--file", file, "--framework", "arm", "--output", "json", "--skip-download"],
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def failed(report: Json) -> set[tuple[str, str]]:
    return {(each["check_id"], each["resource"].rpartition(".")[0]) for each in report["results"]["failed_checks"]}


def test_the_scanner_finds_only_what_is_waived_with_a_reason(report: Json) -> None:
    assert failed(report) == set(WAIVED)


def test_a_private_network_needs_no_excuse_for_public_access(
    main_template: Json, events_template: Json, tmp_path: Path
) -> None:
    private = scan(template(main_template, events_template, tmp_path, network="private"))
    assert failed(private) == {check for check, reason in WAIVED.items() if reason != NO_NETWORK}


def test_the_scanner_really_checked_the_resources(report: Json) -> None:
    passed = {each["check_id"] for each in report["results"]["passed_checks"]}
    assert report["summary"]["parsing_errors"] == 0
    storage = {f"CKV_AZURE_{number}" for number in (3, 34, 36, 43, 44)}
    app = {f"CKV_AZURE_{number}" for number in (67, 70, 71, 145)}
    vault = {f"CKV_AZURE_{number}" for number in (42, 110, 111, 114)}
    assert storage | app | vault <= passed
