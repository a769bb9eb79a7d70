"""Tests of what the templates deploy, according to the real compiler's output. Nothing here runs against Azure."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.tools import PROJECT
from tests.infra.arm import Deployment, Json, Later, Refused
from tests.infra.conftest import EVENT_PARAMETERS, INFRA, STRICT
from transcription.settings.endpoint import Endpoint

ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}


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
    assert len(templates) == 11
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


# --- Instances ---


def scale(deployment: Deployment) -> Json:
    return deployment.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]


def test_the_app_finds_out_the_quota_by_itself_up_to_a_limit_of_each_process(usual: Deployment) -> None:
    assert usual.settings["SPEECH_MAX_CONCURRENT_REQUESTS"] == "64"


@pytest.mark.parametrize("sku", ["F0", "S0"])
@pytest.mark.parametrize("maximum", [1, 12, 40, 1000])
def test_the_app_gets_as_many_instances_as_are_asked_for(main_template: Json, sku: str, maximum: int) -> None:
    deployment = Deployment(main_template, speechSku=sku, maximumInstances=maximum)
    assert scale(deployment)["maximumInstanceCount"] == maximum


def test_without_a_choice_there_are_at_most_twelve_instances_and_none_is_kept_ready(
    usual: Deployment, main_template: Json
) -> None:
    assert (scale(usual)["maximumInstanceCount"], scale(usual)["alwaysReady"]) == (12, [])
    limits = main_template["parameters"]["maximumInstances"]
    assert (limits["minValue"], limits["maxValue"]) == (1, 1000)


def test_instances_for_new_uploads_can_be_kept_ready(main_template: Json) -> None:
    assert scale(Deployment(main_template, alwaysReadyInstances=2))["alwaysReady"] == [
        {"name": "blob", "instanceCount": 2}
    ]


@pytest.mark.parametrize("strategy", ["Recreate", "RollingUpdate"])
def test_an_update_stops_all_instances_unless_a_rolling_update_is_chosen(
    usual: Deployment, main_template: Json, strategy: str
) -> None:
    for deployment, expected in (
        (usual, "Recreate"),
        (Deployment(main_template, siteUpdateStrategy=strategy), strategy),
    ):
        config = deployment.one("Microsoft.Web/sites")["properties"]["functionAppConfig"]
        assert config["siteUpdateStrategy"] == {"type": expected}
    assert main_template["parameters"]["siteUpdateStrategy"]["allowedValues"] == ["Recreate", "RollingUpdate"]


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


def test_the_ban_on_publishing_passwords_has_a_location_and_waits_for_the_settings(
    usual: Deployment, main_template: Json
) -> None:
    assert usual.one("Microsoft.Web/sites/basicPublishingCredentialsPolicies")["location"] == "westeurope"
    resources = main_template["resources"]["app"]["properties"]["template"]["resources"]
    assert "appSettings" in resources["noPublishingPassword"]["dependsOn"]


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


def test_progress_is_deleted_after_two_weeks(usual: Deployment, main_template: Json) -> None:
    rule = {
        "blobTypes": ["appendBlob"],
        "prefixMatch": ["transcription-work/progress/"],
        "daysAfterModificationGreaterThan": 14,
    }
    assert lifecycle_rules(usual)["delete-progress"] == rule
    chosen = lifecycle_rules(Deployment(main_template, settings={"WORK_CONTAINER": "scratch"}))
    assert chosen["delete-progress"] == rule | {"prefixMatch": ["scratch/progress/"]}


@pytest.mark.parametrize(("chosen", "days"), [({}, 30), ({"deleteDeadLettersAfterDays": 90}, 90)])
def test_undelivered_events_are_deleted(main_template: Json, chosen: dict[str, int], days: int) -> None:
    assert lifecycle_rules(Deployment(main_template, **chosen))["delete-dead-letters"] == {
        "blobTypes": ["blockBlob", "appendBlob"],
        "prefixMatch": ["dead-letters/"],
        "daysAfterModificationGreaterThan": days,
    }


def test_uploads_are_deleted_only_if_days_are_given(usual: Deployment, main_template: Json) -> None:
    assert set(lifecycle_rules(usual)) == {"delete-progress", "delete-dead-letters"}
    rules = lifecycle_rules(Deployment(main_template, deleteAudioAfterDays=30))
    assert set(rules) == {"delete-progress", "delete-dead-letters", "delete-audio"}
    assert rules["delete-audio"] == {
        "blobTypes": ["blockBlob"],
        "prefixMatch": ["audio/"],
        "daysAfterModificationGreaterThan": 30,
    }
    assert rules["delete-progress"] == lifecycle_rules(usual)["delete-progress"]


@pytest.mark.parametrize(
    ("chosen", "policy"),
    [
        ({}, {"enabled": True, "days": 7}),
        ({"keepDeletedDays": 365}, {"enabled": True, "days": 365}),
        ({"keepDeletedDays": 0}, {"enabled": False}),
    ],
)
def test_deleted_blobs_and_containers_can_be_restored_for_some_days(
    main_template: Json, chosen: dict[str, int], policy: Json
) -> None:
    blobs = Deployment(main_template, **chosen).one("Microsoft.Storage/storageAccounts/blobServices")
    assert blobs["properties"] == {"deleteRetentionPolicy": policy, "containerDeleteRetentionPolicy": policy}


@pytest.mark.parametrize(
    ("chosen", "quota"), [({}, 1), ({"logGigabytesPerDay": 5}, 5), ({"logGigabytesPerDay": 0}, -1)]
)
def test_the_log_of_a_day_is_limited(main_template: Json, chosen: dict[str, int], quota: int) -> None:
    workspace = Deployment(main_template, **chosen).one("Microsoft.OperationalInsights/workspaces")
    assert workspace["properties"]["workspaceCapping"] == {"dailyQuotaGb": quota}


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
    assert main_template["parameters"]["speechSku"]["allowedValues"] == ["F0", "S0"]


def test_the_default_speech_resource_is_a_standard_one(usual: Deployment) -> None:
    assert usual.one("Microsoft.CognitiveServices/accounts")["sku"] == {"name": "S0"}


def test_an_existing_speech_resource_is_used_with_its_key_and_region(main_template: Json) -> None:
    deployment = Deployment(main_template, existingSpeechRegion="uksouth", existingSpeechKey="their-key")
    assert not deployment.all("Microsoft.CognitiveServices/accounts")
    assert secret(deployment) == "their-key"
    assert deployment.settings["AZURE_SPEECH_REGION"] == "uksouth"
    assert "their-key" not in json.dumps(deployment.settings)
    assert main_template["parameters"]["existingSpeechKey"]["type"] == "securestring"


def test_an_existing_speech_resource_needs_its_key(main_template: Json) -> None:
    with pytest.raises(Refused, match="not existingSpeechKey"):
        Deployment(main_template, existingSpeechRegion="uksouth")


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


# --- The private network ---


@pytest.fixture(scope="module")
def private(main_template: Json) -> Deployment:
    return Deployment(main_template, network="private")


def endpoints(deployment: Deployment) -> dict[str, tuple[str, str, str]]:
    """Return (group, type of resource, DNS zone) of each private endpoint, by the first part of its name."""
    zones = {
        each["name"].split("/")[0]: each["properties"]["privateDnsZoneConfigs"][0]["properties"]["privateDnsZoneId"]
        for each in deployment.all("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    }
    result = {}
    for each in deployment.all("Microsoft.Network/privateEndpoints"):
        (connection,) = (one["properties"] for one in each["properties"]["privateLinkServiceConnections"])
        (group,) = connection["groupIds"]
        kind = connection["privateLinkServiceId"].split("/")[1]
        result[each["name"].split("-")[1]] = (group, kind, zones[each["name"]].split("/")[-1])
    return result


def test_without_a_choice_nothing_of_the_network_is_created(usual: Deployment) -> None:
    assert not [each["type"] for each in usual.resources if each["type"].startswith("Microsoft.Network/")]
    assert usual.one("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"] is None
    assert usual.one("Microsoft.CognitiveServices/accounts")["properties"]["customSubDomainName"] is None
    assert usual.settings["AZURE_SPEECH_ENDPOINT"] == ""
    assert usual.scope.outputs()["network"] == "public"


@pytest.mark.parametrize(
    ("network", "access", "default"), [("public", "Enabled", "Allow"), ("private", "Disabled", "Deny")]
)
def test_public_access_is_off_in_a_private_network(
    main_template: Json, network: str, access: str, default: str
) -> None:
    deployment = Deployment(main_template, network=network)
    storage, vault, speech = (
        deployment.one(kind)["properties"]
        for kind in (
            "Microsoft.Storage/storageAccounts",
            "Microsoft.KeyVault/vaults",
            "Microsoft.CognitiveServices/accounts",
        )
    )
    assert {each["publicNetworkAccess"] for each in (storage, vault, speech)} == {access}
    for each in (storage, vault):
        assert each["networkAcls"] == {"defaultAction": default, "bypass": "AzureServices"}
    assert deployment.scope.outputs()["network"] == network


def test_event_grid_still_reaches_the_app_and_stores_dead_letters(private: Deployment) -> None:
    assert private.one("Microsoft.Web/sites")["properties"]["publicNetworkAccess"] == "Enabled"
    assert private.one("Microsoft.EventGrid/systemTopics")["identity"] == {"type": "SystemAssigned"}


def test_whatever_the_app_uses_has_a_private_endpoint_with_its_zone(private: Deployment) -> None:
    storage = "storageAccounts"
    expected = {
        "blob": ("blob", storage, "privatelink.blob.core.windows.net"),
        "queue": ("queue", storage, "privatelink.queue.core.windows.net"),
        "table": ("table", storage, "privatelink.table.core.windows.net"),
        "vault": ("vault", "vaults", "privatelink.vaultcore.azure.net"),
        "speech": ("account", "accounts", "privatelink.cognitiveservices.azure.com"),
    }
    assert endpoints(private) == expected
    zones = {each["name"] for each in private.all("Microsoft.Network/privateDnsZones")}
    links = {
        each["name"].split("/")[0] for each in private.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    }
    assert zones == links == {zone for _, _, zone in expected.values()}


def test_the_app_has_a_subnet_of_its_own_that_is_delegated_to_flex_consumption(private: Deployment) -> None:
    app, other = private.one("Microsoft.Network/virtualNetworks")["properties"]["subnets"]
    assert app["properties"]["addressPrefix"] == "10.90.0.0/26"
    assert other["properties"]["addressPrefix"] == "10.90.0.64/26"
    (delegation,) = app["properties"]["delegations"]
    assert delegation["properties"] == {"serviceName": "Microsoft.App/environments"}
    assert "delegations" not in other["properties"]
    assert "_" not in app["name"]
    subnet = private.one("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"]
    assert subnet.split("/")[-1] == app["name"]
    for each in private.all("Microsoft.Network/privateEndpoints"):
        assert each["properties"]["subnet"]["id"].split("/")[-1] == other["name"]


def test_the_app_calls_the_custom_domain_of_speech(private: Deployment) -> None:
    account = private.one("Microsoft.CognitiveServices/accounts")
    assert account["properties"]["customSubDomainName"] == account["name"]
    assert private.settings["AZURE_SPEECH_ENDPOINT"] == "reference(account).endpoint"
    endpoint = Endpoint.of_address(f"https://{account['name']}.cognitiveservices.azure.com/")  # as Azure writes it
    assert endpoint.recognition_url.startswith(f"https://{account['name']}.cognitiveservices.azure.com/stt/speech/")


def test_an_existing_speech_resource_keeps_its_public_endpoint(main_template: Json) -> None:
    existing = {"existingSpeechRegion": "uksouth", "existingSpeechKey": "their-key"}
    deployment = Deployment(main_template, network="private", **existing)
    assert set(endpoints(deployment)) == {"blob", "queue", "table", "vault"}
    assert deployment.settings["AZURE_SPEECH_ENDPOINT"] == ""


def test_a_chosen_endpoint_is_kept_in_a_private_network(main_template: Json) -> None:
    chosen = {"AZURE_SPEECH_ENDPOINT": "https://gateway.example.com"}
    assert chosen.items() <= Deployment(main_template, network="private", settings=chosen).settings.items()


def test_tokens_are_refused_in_a_private_network(main_template: Json) -> None:
    settings = {"AZURE_SPEECH_AUTH": "token"}
    assert Deployment(main_template, settings=settings).settings["AZURE_SPEECH_AUTH"] == "token"
    with pytest.raises(Refused, match="must be key"):
        Deployment(main_template, network="private", settings=settings)


def test_the_app_waits_for_the_private_network(main_template: Json) -> None:
    resources = main_template["resources"]
    assert "privateNetwork" in resources["app"]["dependsOn"]
    assert {"storage", "speech"} <= set(resources["privateNetwork"]["dependsOn"])


# --- All of it ---


@pytest.mark.parametrize("network", ["public", "private"])
@pytest.mark.parametrize("speech", [{}, {"existingSpeechRegion": "uksouth", "existingSpeechKey": "their-key"}])
@pytest.mark.parametrize("topic", ["", "defenders"])
@pytest.mark.parametrize("schedule", ["0 */15 * * * *", "off"])
@pytest.mark.parametrize("amount", [0, 1])
def test_every_combination_of_parameters_can_be_deployed(
    main_template: Json, network: str, speech: dict[str, str], topic: str, schedule: str, amount: int
) -> None:
    deployment = Deployment(
        main_template,
        network=network,
        existingSystemTopic=topic,
        settings={"SWEEP_SCHEDULE": schedule},
        alwaysReadyInstances=amount,
        deleteAudioAfterDays=amount,
        keepDeletedDays=amount,
        logGigabytesPerDay=amount,
        alertEmail="operator@example.com" * amount,
        userObjectId="somebody" * amount,
        vaultPurgeProtection=bool(amount),
        speechSku=("F0", "S0")[amount],
        **speech,
    )
    names = [(each["type"], each["name"], each.get("scope")) for each in deployment.resources]
    assert len(names) == len(set(names))
    assert all(isinstance(value, str) for value in deployment.scope.outputs().values())


def test_every_resource_that_can_have_tags_has_the_tag(usual: Deployment, private: Deployment) -> None:
    without = "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    for each in usual.resources + private.resources:
        if "location" in each and each["type"] != without:
            assert each["tags"] == {"application": "speech-transcription"}, each["type"]
