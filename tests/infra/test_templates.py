"""Tests of what the templates deploy, according to the real compiler's output. Nothing here runs against Azure."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.tools import PROJECT
from tests.infra.arm import Json, Later, Refused, Scope
from tests.infra.conftest import EVENT_PARAMETERS, INFRA, STRICT

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}


class Deployment:
    """The resources of a template with some parameters."""

    def __init__(self, template: Json, **parameters: Any) -> None:
        self.scope = Scope(template, parameters)
        self.resources = list(self.scope.deployed())

    def all(self, kind: str) -> list[Json]:
        return [resource for resource in self.resources if resource["type"] == kind]

    def one(self, kind: str) -> Json:
        (resource,) = self.all(kind)
        return resource

    @property
    def settings(self) -> dict[str, str]:
        return self.one("Microsoft.Web/sites/config")["properties"]

    @property
    def instances(self) -> int:
        scale = self.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
        return scale["maximumInstanceCount"]


@pytest.fixture(scope="module")
def usual(main_template: Json) -> Deployment:
    return Deployment(main_template)


@pytest.fixture(scope="module")
def events(events_template: Json) -> Json:
    return Deployment(events_template, **EVENT_PARAMETERS).resources[0]["properties"]


# --- The compiler and its rules ---


@pytest.mark.parametrize("file", ["main.bicep", "events.bicep"])
def test_the_linter_finds_nothing_here_or_on_a_users_machine(bicep: str, strict: Path, file: str) -> None:
    for folder in (strict, INFRA):
        done = subprocess.run([bicep, "lint", str(folder / file)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_rule_of_the_linter_can_stop_a_users_deployment() -> None:
    assert not list(INFRA.rglob("bicepconfig.json"))
    assert not (PROJECT / "bicepconfig.json").exists()


def test_every_linter_rule_is_an_error_in_the_tests(bicep: str, tmp_path: Path) -> None:
    config = STRICT.read_text()
    assert {rule["level"] for rule in json.loads(config)["analyzers"]["core"]["rules"].values()} == {"error"}
    (tmp_path / "bicepconfig.json").write_text(config)
    (tmp_path / "careless.bicep").write_text("param unused string\n")
    done = subprocess.run(
        [bicep, "build", str(tmp_path / "careless.bicep")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Error no-unused-params" in done.stderr


def test_the_parameter_file_sets_no_sku() -> None:
    assert not re.search(r"^param speechSku", (INFRA / "main.bicepparam").read_text(), re.MULTILINE)


def test_the_parameter_file_compiles_and_reads_the_key_from_the_environment(bicep: str) -> None:
    done = subprocess.run(
        [bicep, "build-params", str(INFRA / "main.bicepparam"), "--stdout"],
        env={**os.environ, "EXISTING_SPEECH_KEY": "k", "RECOVER_VAULT": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    given = json.loads(json.loads(done.stdout)["parametersJson"])["parameters"]
    assert given["existingSpeechKey"]["value"] == "k"
    assert (given["restoreSpeech"]["value"], given["recoverVault"]["value"]) == (False, True)


def with_modules(template: Json) -> Iterator[Json]:
    yield template
    resources = template["resources"]
    for each in resources.values() if isinstance(resources, dict) else resources:
        if each["type"] == "Microsoft.Resources/deployments":
            yield from with_modules(each["properties"]["template"])


def test_no_key_is_an_output_or_an_ordinary_parameter(main_template: Json, events_template: Json) -> None:
    templates = [*with_modules(main_template), *with_modules(events_template)]
    assert len(templates) == 9
    for template in templates:
        assert "listKeys" not in json.dumps(template.get("outputs", {}))
        kinds = {name: each.get("type") for name, each in template.get("parameters", {}).items()}
        assert {kinds[name] for name in kinds if name in ("existingKey", "existingSpeechKey")} <= {"securestring"}


# --- App settings ---


def test_the_app_gets_exactly_the_documented_settings(usual: Deployment) -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    contract = set(sample) - {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage", "AudioStorage"}
    storage = {f"AzureWebJobsStorage__{name}" for name in ("accountName", "tableServiceUri")}
    for prefix in ("AzureWebJobsStorage", "AudioStorage"):
        storage |= {f"{prefix}__{name}" for name in ("blobServiceUri", "queueServiceUri", "credential", "clientId")}
    telemetry = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"}
    assert set(usual.settings) == contract | storage | telemetry


def test_settings_that_are_not_chosen_have_the_documented_default(usual: Deployment) -> None:
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    decided_here = {"AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "BLOB_TRIGGER_SOURCE"}
    for name, value in usual.settings.items():
        if name in sample and name not in decided_here:
            assert value == sample[name], name
    assert usual.settings["BLOB_TRIGGER_SOURCE"] == "EventGrid"


def test_every_setting_is_a_string(usual: Deployment) -> None:
    assert all(isinstance(value, str) for value in usual.settings.values())


def test_a_chosen_setting_reaches_the_app(main_template: Json) -> None:
    chosen = {"SPEECH_LANGUAGE": "fr-FR", "AUDIO_CONTAINER": "uploads", "SPEECH_MAX_CONCURRENT_REQUESTS": "20"}
    deployment = Deployment(main_template, settings=chosen)
    assert chosen.items() <= deployment.settings.items()
    assert deployment.scope.outputs()["audioContainer"] == "uploads"
    names = [
        each["name"].split("/")[-1]
        for each in deployment.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    ]
    assert "uploads" in names
    assert "audio" not in names


CONTAINERS = {
    "AUDIO_CONTAINER": "audio",
    "TRANSCRIPT_CONTAINER": "transcripts",
    "WORK_CONTAINER": "transcription-work",
}


@pytest.mark.parametrize("setting", CONTAINERS)
@pytest.mark.parametrize("taken", [*CONTAINERS.values(), "app-package", "dead-letters"])
def test_two_purposes_cannot_share_a_container(main_template: Json, setting: str, taken: str) -> None:
    if taken == CONTAINERS[setting]:
        assert Deployment(main_template, settings={setting: taken}).settings[setting] == taken
        return
    with pytest.raises(Refused, match="each need a container of its own"):
        Deployment(main_template, settings={setting: taken})


@pytest.mark.parametrize(("schedule", "sweeps"), [("0 0 * * * *", "yes"), ("off", "no"), (" OFF ", "no")])
def test_the_script_learns_if_the_app_has_a_sweep(main_template: Json, schedule: str, sweeps: str) -> None:
    assert Deployment(main_template).scope.outputs()["sweeps"] == "yes"
    assert Deployment(main_template, settings={"SWEEP_SCHEDULE": schedule}).scope.outputs()["sweeps"] == sweeps


def test_only_known_settings_can_be_chosen(main_template: Json) -> None:
    settings = main_template["definitions"]["Settings"]
    assert settings["additionalProperties"] is False
    decided_here = {"AZURE_SPEECH_KEY", "AZURE_SPEECH_REGION", "BLOB_TRIGGER_SOURCE"}
    sample = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
    plain = {name for name in sample if name.isupper() and name != "FUNCTIONS_WORKER_RUNTIME"}
    assert set(settings["properties"]) == plain - decided_here


def test_settings_that_flex_consumption_refuses_are_absent(usual: Deployment) -> None:
    app = usual.one("Microsoft.Web/sites")["properties"]
    assert set(app["siteConfig"]) == {"minTlsVersion", "scmMinTlsVersion", "http20Enabled"}
    refused = (
        "FUNCTIONS_WORKER_RUNTIME",
        "FUNCTIONS_EXTENSION_VERSION",
        "SCM_",
        "ENABLE_ORYX",
        "WEBSITE_",
        "AzureWebJobsStorage",
    )
    assert not [
        name for name in usual.settings if name.startswith(refused) and not name.startswith("AzureWebJobsStorage__")
    ]


# --- The Speech quota ---


def test_the_app_finds_out_the_quota_by_itself_up_to_a_limit_of_each_process(usual: Deployment) -> None:
    assert (usual.settings["SPEECH_MAX_CONCURRENT_REQUESTS"], usual.instances) == ("64", 12)


@pytest.mark.parametrize("maximum", [1, 12, 1000])
def test_the_free_tier_always_gets_one_instance(main_template: Json, maximum: int) -> None:
    for quota in (1, 100, 10_000):
        deployment = Deployment(main_template, speechSku="F0", maximumInstances=maximum, speechConcurrentRequests=quota)
        assert deployment.instances == 1


@pytest.mark.parametrize(
    ("quota", "maximum", "instances"), [(1, 12, 1), (7, 12, 7), (100, 1, 1), (100, 40, 40), (100, 1000, 100)]
)
def test_there_are_no_more_instances_than_the_quota_has_requests(
    main_template: Json, quota: int, maximum: int, instances: int
) -> None:
    deployment = Deployment(main_template, maximumInstances=maximum, speechConcurrentRequests=quota)
    assert deployment.instances == instances


def test_a_region_may_require_more_instances_within_the_quota(main_template: Json) -> None:
    assert Deployment(main_template, leastInstances=40).instances == 40
    assert Deployment(main_template, leastInstances=40, speechConcurrentRequests=40).instances == 40


@pytest.mark.parametrize("parameters", [{"speechSku": "F0"}, {"speechConcurrentRequests": 39}])
def test_a_quota_below_the_regions_minimum_is_refused(main_template: Json, parameters: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="no fewer than 40 instances"):
        Deployment(main_template, leastInstances=40, **parameters)


# --- The app ---


def test_values_that_the_compiler_does_not_check_are_correct(usual: Deployment, main_template: Json) -> None:
    plan, app = usual.one("Microsoft.Web/serverfarms"), usual.one("Microsoft.Web/sites")
    assert (plan["kind"], plan["sku"], plan["properties"]) == (
        "functionapp",
        {"name": "FC1", "tier": "FlexConsumption"},
        {"reserved": True},
    )
    assert app["kind"] == "functionapp,linux"
    config = app["properties"]["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"]["instanceMemoryMB"] in (2048, 4096)
    assert main_template["parameters"]["instanceMemoryMB"]["allowedValues"] == [2048, 4096]
    assert config["deployment"]["storage"]["type"] == "blobContainer"
    assert config["deployment"]["storage"]["value"] == "reference(storage).primaryEndpoints.blobapp-package"
    assert config["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"


def test_the_app_uses_one_identity_for_everything(usual: Deployment) -> None:
    app = usual.one("Microsoft.Web/sites")
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    identity = f"{kind}/{usual.one(kind)['name']}"
    assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    assert app["properties"]["keyVaultReferenceIdentity"] == identity
    assert (
        app["properties"]["functionAppConfig"]["deployment"]["storage"]["authentication"][
            "userAssignedIdentityResourceId"
        ]
        == identity
    )
    for prefix in ("AzureWebJobsStorage", "AudioStorage"):
        assert usual.settings[f"{prefix}__credential"] == "managedidentity"
        assert usual.settings[f"{prefix}__clientId"] == "reference(identity).clientId"
    assert (
        usual.settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
        == "Authorization=AAD;ClientId=reference(identity).clientId"
    )


def test_the_app_comes_after_the_roles_and_the_roles_after_their_resources(main_template: Json) -> None:
    resources = main_template["resources"]
    assert "roles" in resources["app"]["dependsOn"]
    assert {"identity", "speech", "topic"} <= set(resources["roles"]["dependsOn"])
    assert {"monitoring", "storage"} <= set(resources["topic"]["dependsOn"])


def test_only_encrypted_connections_are_accepted(usual: Deployment, events: Json) -> None:
    app, storage = (
        usual.one("Microsoft.Web/sites")["properties"],
        usual.one("Microsoft.Storage/storageAccounts")["properties"],
    )
    assert app["httpsOnly"] is storage["supportsHttpsTrafficOnly"] is True
    assert (app["siteConfig"]["minTlsVersion"], app["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert storage["minimumTlsVersion"] == "TLS1_2"
    assert events["destination"]["properties"]["minimumTlsVersionAllowed"] == "1.2"


def test_keys_are_disabled_wherever_possible(usual: Deployment) -> None:
    storage = usual.one("Microsoft.Storage/storageAccounts")["properties"]
    assert storage["allowSharedKeyAccess"] is storage["allowBlobPublicAccess"] is False
    assert usual.one("Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
    assert usual.one("Microsoft.OperationalInsights/workspaces")["properties"]["features"]["disableLocalAuth"] is True
    assert usual.one("Microsoft.Web/sites/basicPublishingCredentialsPolicies")["properties"] == {"allow": False}


# --- Storage ---


def test_the_containers_and_queues_are_created(usual: Deployment) -> None:
    containers = usual.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {each["name"].split("/")[-1] for each in containers} == {
        "audio",
        "transcripts",
        "transcription-work",
        "app-package",
        "dead-letters",
    }
    assert {each["properties"]["publicAccess"] for each in containers} == {"None"}
    queues = usual.all("Microsoft.Storage/storageAccounts/queueServices/queues")
    assert {each["name"].split("/")[-1] for each in queues} == {
        "webjobs-blobtrigger-poison",
        "transcription-again",
        "transcription-again-poison",
    }


def test_the_package_goes_to_a_container_that_is_created(usual: Deployment) -> None:
    value = usual.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["deployment"]["storage"]["value"]
    containers = [
        each["name"].split("/")[-1] for each in usual.all("Microsoft.Storage/storageAccounts/blobServices/containers")
    ]
    assert [name for name in containers if value.endswith(name)] == ["app-package"]


def lifecycle_rules(deployment: Deployment) -> dict[str, Json]:
    """Return what each lifecycle rule deletes, by name. There is no other action."""
    policy = deployment.one("Microsoft.Storage/storageAccounts/managementPolicies")["properties"]["policy"]
    assert {tuple(rule["definition"]["actions"]["baseBlob"]) for rule in policy["rules"]} == {("delete",)}
    return {
        rule["name"]: rule["definition"]["filters"] | rule["definition"]["actions"]["baseBlob"]["delete"]
        for rule in policy["rules"]
    }


def test_progress_is_deleted_after_two_weeks_and_nothing_else_is(usual: Deployment, main_template: Json) -> None:
    rule = {
        "blobTypes": ["appendBlob"],
        "prefixMatch": ["transcription-work/progress/"],
        "daysAfterModificationGreaterThan": 14,
    }
    assert lifecycle_rules(usual) == {"delete-progress": rule}
    chosen = lifecycle_rules(Deployment(main_template, settings={"WORK_CONTAINER": "scratch"}))
    assert chosen == {"delete-progress": rule | {"prefixMatch": ["scratch/progress/"]}}


def test_uploads_are_deleted_only_if_days_are_given(usual: Deployment, main_template: Json) -> None:
    rules = lifecycle_rules(Deployment(main_template, deleteAudioAfterDays=30))
    assert set(rules) == {"delete-progress", "delete-audio"}
    assert rules["delete-audio"] == {
        "blobTypes": ["blockBlob"],
        "prefixMatch": ["audio/"],
        "daysAfterModificationGreaterThan": 30,
    }
    assert rules["delete-progress"] == lifecycle_rules(usual)["delete-progress"]


def test_names_have_the_lengths_that_azure_allows(usual: Deployment) -> None:
    longest = {"Microsoft.Storage/storageAccounts": 24, "Microsoft.KeyVault/vaults": 24, "Microsoft.Web/sites": 43}
    for kind, length in longest.items():
        assert len(usual.one(kind)["name"]) <= length  # the suffix stands in for uniqueString's 13 characters
    assert usual.one("Microsoft.Storage/storageAccounts")["name"].isalnum()


# --- Roles ---


def grants(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Return the role assignments, as (principal, role, type of resource, container or queue)."""
    return {
        (
            {"reference(identity).principalId": "app", "who-deploys": "user"}.get(
                each["properties"]["principalId"], "topic"
            ),
            ROLES[each["properties"]["roleDefinitionId"].split("/")[-1]],
            each["scope"].split("/")[-1 if re.search("/(containers|queues)/", each["scope"]) else 1],
        )
        for each in deployment.all("Microsoft.Authorization/roleAssignments")
    }


def test_nobody_has_more_roles_than_necessary(usual: Deployment) -> None:
    assert grants(usual) == {
        ("app", "Storage Blob Data Owner", "storageAccounts"),
        ("app", "Storage Queue Data Contributor", "storageAccounts"),
        ("app", "Storage Table Data Contributor", "storageAccounts"),
        ("app", "Key Vault Secrets User", "vaults"),
        ("app", "Monitoring Metrics Publisher", "components"),
        ("topic", "Storage Blob Data Contributor", "dead-letters"),
        ("user", "Storage Blob Data Contributor", "audio"),
        ("user", "Storage Blob Data Contributor", "transcripts"),
        ("user", "Storage Queue Data Message Sender", "transcription-again"),
    }


def test_without_a_user_no_person_gets_access_to_recordings(main_template: Json) -> None:
    assert not [grant for grant in grants(Deployment(main_template, userObjectId="")) if grant[0] == "user"]


def test_an_assignments_name_changes_with_its_principal(usual: Deployment) -> None:
    for each in usual.all("Microsoft.Authorization/roleAssignments"):
        assert each["properties"]["principalId"] in each["name"]
    names = [each["name"] for each in usual.all("Microsoft.Authorization/roleAssignments")]
    assert len(set(names)) == len(names)


def test_new_principals_have_a_type_and_the_user_has_none(usual: Deployment) -> None:
    for each in usual.all("Microsoft.Authorization/roleAssignments"):
        is_user = each["properties"]["principalId"] == "who-deploys"
        assert each["properties"].get("principalType") == (None if is_user else "ServicePrincipal")


# --- Speech and the vault ---


def secret(deployment: Deployment) -> str:
    return deployment.one("Microsoft.KeyVault/vaults/secrets")["properties"]["value"]


def test_the_key_goes_to_the_vault_and_the_app_gets_a_reference_without_version(usual: Deployment) -> None:
    assert secret(usual) == "listKeys(account, 2026-07-01).key1"
    assert usual.settings["AZURE_SPEECH_KEY"] == "@Microsoft.KeyVault(SecretUri=reference(secret).secretUri)"
    assert isinstance(usual.settings["AZURE_SPEECH_KEY"], Later)


def test_the_second_key_can_be_used(main_template: Json) -> None:
    assert secret(Deployment(main_template, speechKey="key2")).endswith(".key2")


@pytest.mark.parametrize("sku", ["F0", "S0"])
def test_the_speech_resource_accepts_keys_and_has_the_chosen_sku(main_template: Json, sku: str) -> None:
    account = Deployment(main_template, speechSku=sku).one("Microsoft.CognitiveServices/accounts")
    assert (account["kind"], account["sku"]) == ("SpeechServices", {"name": sku})
    assert account["properties"]["disableLocalAuth"] is False
    assert account["properties"]["restore"] is None
    assert main_template["parameters"]["speechSku"]["allowedValues"] == ["", "F0", "S0"]


def test_the_default_speech_resource_is_a_standard_one(usual: Deployment) -> None:
    assert usual.one("Microsoft.CognitiveServices/accounts")["sku"] == {"name": "S0"}


def test_an_existing_speech_resource_needs_its_sku(main_template: Json) -> None:
    with pytest.raises(Refused, match="speechSku"):
        Deployment(main_template, existingSpeechRegion="uksouth", existingSpeechKey="their-key")
    free = Deployment(main_template, existingSpeechRegion="uksouth", existingSpeechKey="their-key", speechSku="F0")
    assert free.instances == 1


def test_an_existing_speech_resource_is_used_with_its_key_and_region(main_template: Json) -> None:
    deployment = Deployment(
        main_template, existingSpeechRegion="uksouth", existingSpeechKey="their-key", speechSku="S0"
    )
    assert not deployment.all("Microsoft.CognitiveServices/accounts")
    assert secret(deployment) == "their-key"
    assert deployment.settings["AZURE_SPEECH_REGION"] == "uksouth"
    assert "their-key" not in json.dumps(deployment.settings)
    assert main_template["parameters"]["existingSpeechKey"]["type"] == "securestring"


def test_an_existing_speech_resource_needs_its_key(main_template: Json) -> None:
    with pytest.raises(Refused, match="not existingSpeechKey"):
        Deployment(main_template, existingSpeechRegion="uksouth", speechSku="S0")


def test_deleted_resources_are_restored_on_request(main_template: Json) -> None:
    deployment = Deployment(main_template, restoreSpeech=True, recoverVault=True)
    assert deployment.one("Microsoft.CognitiveServices/accounts")["properties"]["restore"] is True
    assert deployment.one("Microsoft.KeyVault/vaults")["properties"]["createMode"] == "recover"


def test_the_vault_uses_roles_and_is_protected_by_default(usual: Deployment, main_template: Json) -> None:
    vault = usual.one("Microsoft.KeyVault/vaults")["properties"]
    assert vault["enableRbacAuthorization"] is vault["enablePurgeProtection"] is True
    assert vault["createMode"] == "default"
    assert "accessPolicies" not in vault
    unprotected = Deployment(main_template, vaultPurgeProtection=False).one("Microsoft.KeyVault/vaults")
    assert unprotected["properties"]["enablePurgeProtection"] is None  # Azure refuses false


# --- Events ---


def test_the_topic_belongs_to_the_account_and_can_write_dead_letters(usual: Deployment) -> None:
    topic = usual.one("Microsoft.EventGrid/systemTopics")
    assert topic["identity"] == {"type": "SystemAssigned"}
    assert topic["properties"]["topicType"] == "Microsoft.Storage.StorageAccounts"
    assert topic["properties"]["source"].startswith("Microsoft.Storage/storageAccounts/")


def test_an_existing_topic_is_used_unchanged(main_template: Json) -> None:
    deployment = Deployment(main_template, existingSystemTopic="defenders")
    assert not deployment.all("Microsoft.EventGrid/systemTopics")
    assert not deployment.all("Microsoft.Insights/diagnosticSettings")
    assert deployment.scope.outputs()["systemTopicName"] == "defenders"
    assert ("topic", "Storage Blob Data Contributor", "dead-letters") in grants(deployment)


def test_only_finished_uploads_raise_events(events: Json) -> None:
    assert events["filter"]["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]
    assert events["filter"]["subjectBeginsWith"] == "/blobServices/default/containers/audio/blobs/"
    (advanced,) = events["filter"]["advancedFilters"]
    assert (advanced["operatorType"], advanced["key"]) == ("StringIn", "data.api")
    assert set(advanced["values"]) == {"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose"}


def test_the_webhook_belongs_to_the_blob_extension_and_its_key_stays_in_azure(
    events: Json, events_template: Json
) -> None:
    url = events["destination"]["properties"]["endpointUrl"]
    assert events["destination"]["endpointType"] == "WebHook"
    assert url == (
        "https://reference(Microsoft.Web/sites/the-app, 2025-03-01).defaultHostName/runtime/webhooks/blobs"
        "?functionName=Host.Functions.transcribe"
        "&code=listKeys(Microsoft.Web/sites/the-app/host/default, 2025-03-01).systemKeys.blobs_extension"
    )
    assert "outputs" not in events_template


def test_an_event_is_retried_as_long_as_possible_and_then_stored(events: Json) -> None:
    assert events["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
    letter = events["deadLetterWithResourceIdentity"]
    assert letter["identity"] == {"type": "SystemAssigned"}
    assert letter["deadLetterDestination"]["endpointType"] == "StorageBlob"
    assert letter["deadLetterDestination"]["properties"] == {
        "resourceId": "Microsoft.Storage/storageAccounts/the-account",
        "blobContainerName": "dead-letters",
    }


# --- Alerts ---


def test_every_query_is_saved_unchanged_and_can_be_saved_again(usual: Deployment) -> None:
    saved = usual.all("Microsoft.OperationalInsights/workspaces/savedSearches")
    files = {f"transcription-{file.stem}": file.read_text() for file in (INFRA / "queries").glob("*.kql")}
    assert {each["name"].split("/")[-1]: each["properties"]["query"] for each in saved} == files
    assert {each["properties"]["etag"] for each in saved} == {"*"}


def test_alert_windows_overlap_because_logs_come_late(usual: Deployment) -> None:
    spans = {
        (each["properties"]["evaluationFrequency"], each["properties"]["windowSize"])
        for each in usual.all("Microsoft.Insights/scheduledQueryRules")
    }
    assert spans == {("PT15M", "PT30M"), ("PT1H", "P1D")}


def test_each_watched_problem_has_its_alert(usual: Deployment) -> None:
    rules = {each["name"]: each for each in usual.all("Microsoft.Insights/scheduledQueryRules")}
    assert set(rules) == {
        f"transcription-{name}"
        for name in (
            "failed-documents",
            "exhausted",
            "unwritten-documents",
            "poison-queue",
            "abandoned-uploads",
            "failed-calls",
            "repeated-sweeps",
            "throttling",
            "audio-seconds",
        )
    }
    for name, rule in rules.items():
        assert rule["kind"] == "LogAlert"
        assert rule["properties"]["skipQueryValidation"] is True
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        assert criterion["query"] == (INFRA / "queries" / f"{name.removeprefix('transcription-')}.kql").read_text()
    metrics = [
        each["properties"]["criteria"]["allOf"][0]["metricName"]
        for each in usual.all("Microsoft.Insights/metricAlerts")
    ]
    assert set(metrics) == {"DeadLetteredCount", "DroppedEventCount"}


def alert_texts(deployment: Deployment) -> dict[str, str]:
    """Return the description of each alert on log lines and metrics, without `transcription-` in the name."""
    kinds = ("Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts")
    return {
        each["name"].removeprefix("transcription-"): each["properties"]["description"]
        for kind in kinds
        for each in deployment.all(kind)
    }


def test_five_failed_calls_of_again_raise_an_alert_and_one_row_of_the_other_queries(usual: Deployment) -> None:
    rules = usual.all("Microsoft.Insights/scheduledQueryRules")
    thresholds = {each["name"]: each["properties"]["criteria"]["allOf"][0]["threshold"] for each in rules}
    assert thresholds.pop("transcription-failed-calls") == 4  # more than
    del thresholds["transcription-audio-seconds"]
    assert set(thresholds.values()) == {0}


def test_every_alert_says_what_to_do(usual: Deployment) -> None:
    advice = "Check that|Raise the quota|The README says|remove it|Fix what|what to fix|Nothing to do unless"
    for name, text in alert_texts(usual).items():
        assert re.search(advice, text), name
        for query in re.findall(r"\b[a-z]+(?:-[a-z]+)+\b", text):
            known = (INFRA / "queries" / f"{query}.kql").exists()
            assert known or query in ("dead-letters", "transcription-again-poison"), f"{name}: {query}"


def test_only_uploads_that_nothing_tries_again_need_the_script(usual: Deployment) -> None:
    texts = alert_texts(usual)
    assert [name for name, text in texts.items() if "redrive" in text] == ["abandoned-uploads"]
    for name in ("poison-queue", "failed-calls", "DeadLetteredCount", "DroppedEventCount"):
        assert re.search(r"[Tt]he sweep (transcribes|queues)", texts[name]), name


def test_the_audio_alert_counts_seconds(main_template: Json) -> None:
    rules = Deployment(main_template, alertAudioHoursPerDay=3).all("Microsoft.Insights/scheduledQueryRules")
    (criterion,) = next(each for each in rules if each["name"].endswith("audio-seconds"))["properties"]["criteria"][
        "allOf"
    ]
    assert (criterion["threshold"], criterion["metricMeasureColumn"]) == (3 * 3600, "AudioSecondsSent")
    assert "AudioSecondsSent =" in criterion["query"]


@pytest.mark.parametrize("email", ["", "operator@example.com"])
def test_alerts_are_sent_if_an_address_is_given(main_template: Json, email: str) -> None:
    deployment = Deployment(main_template, alertEmail=email)
    assert len(deployment.all("Microsoft.Insights/actionGroups")) == bool(email)
    for rule in deployment.all("Microsoft.Insights/scheduledQueryRules"):
        assert len(rule["properties"]["actions"]["actionGroups"]) == bool(email)
    for rule in deployment.all("Microsoft.Insights/metricAlerts"):
        assert len(rule["properties"]["actions"]) == bool(email)


def test_every_resource_that_can_have_tags_has_the_tag(usual: Deployment) -> None:
    for each in usual.resources:
        if "location" in each:
            assert each["tags"] == {"application": "speech-transcription"}, each["type"]
