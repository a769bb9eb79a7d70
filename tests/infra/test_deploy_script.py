"""Tests of deploy.sh: the real script in a real bash, with fake commands az, func and sleep that record each call.

The answers have the shape of Azure's, according to the documentation and to public examples. None was recorded from
Azure. The variable TEST_BASH names another bash to run the script in, such as the 3.2 of macOS.
"""

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jmespath
import pytest

from infra import redrive
from local.tools import PROJECT
from tests.infra.conftest import INFRA
from transcription.settings.app import WORK_CONTAINER
from transcription.storage.progress import PROGRESS_PREFIX

pytestmark = pytest.mark.timeout(60)

Answer = dict[str, Any]

BASH = os.environ.get("TEST_BASH", "bash")
FAKE_COMMANDS = PROJECT / "tests" / "infra" / "fake_commands.py"

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
APP, ACCOUNT, TOPIC = "func-transcription-x", "stx", "evgt-transcription-x"
SPEECH, VAULT = "speech-transcription-recordings", "kv-recordings"
SYSTEM_KEY, SPEECH_KEY = "system-key-canary", "speech-key-canary"
ETAG = "0x8DE2A"
FUNCTIONS = re.findall(r'^ *@app\.function_name\("([^"]+)"\)$', (PROJECT / "function_app.py").read_text(), re.MULTILINE)

MAIN = "az deployment group create * --name transcription-main *"
EVENTS = "az deployment group create * --name transcription-events *"
PUBLISH = "func azure functionapp publish *"
OUTPUTS = "az deployment group show *"
WORK = "az storage blob list *"
LISTED = "az functionapp function list *"
KEYS = "az functionapp keys list *"
REFERENCE = "az rest --method get *"
UPLOAD = "az storage blob upload *"
SHOW = "az storage blob show *"
DOWNLOAD = "az storage blob download *"
EXISTS = "az group exists *"
GROUP = "az group show *"
REGIONS = "az functionapp list-flexconsumption-locations *"
RUNTIMES = "az functionapp list-flexconsumption-runtimes *"
DELETED_SPEECH = "az cognitiveservices account list-deleted *"
DELETED_VAULTS = "az keyvault list-deleted *"

NOTHING: Answer = {}
FAILED: Answer = {"error": "ERROR: it did not work", "code": 1}
FORBIDDEN: Answer = {"error": "ERROR: (AuthorizationFailure) 403", "code": 1}
# The answer to those without a role on the subscription.
NO_ROLE: Answer = {"error": "ERROR: (AuthorizationFailed) does not have authorization to perform action '…'", "code": 1}
SPEECH_GONE: Answer = {
    "json": [
        {
            "id": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/locations/westeurope"
            f"/resourceGroups/{group}/deletedAccounts/speech-transcription-{group.lower()}"
        }
        for group in ("Recordings", "another")
    ]
}


def vault_gone(protected: bool) -> Answer:
    def vault(group: str, tags: dict[str, str] | None) -> Answer:
        return {
            "properties": {
                "location": "westeurope",
                "purgeProtectionEnabled": protected or None,
                "tags": tags,
                "vaultId": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults"
                f"/kv-{group}",
            }
        }

    ours = {"application": "speech-transcription"}
    return {"json": [vault("recordings", ours), vault("another", ours), vault("recordings", None)]}


def progress(*statuses: str) -> Answer:
    """Return a listing of progress blobs as the Azure CLI prints it, with these states of their leases."""
    return {
        "json": [
            {"name": f"progress/{number}", "properties": {"blobType": "AppendBlob", "lease": {"status": status}}}
            for number, status in enumerate(statuses)
        ]
    }


def outputs(**changes: str) -> Answer:
    """Return the usual outputs with some of them changed."""
    answer = json.loads(json.dumps(USUAL[OUTPUTS]))
    answer["json"]["properties"]["outputs"].update({name: {"value": value} for name, value in changes.items()})
    return answer


def document(etag: str = ETAG, status: str = "Succeeded") -> Answer:
    return {"json": {"metadata": {"source_etag": etag, "status": status}}}


def reference(status: str) -> Answer:
    return {"json": {"value": [{"name": "AZURE_SPEECH_KEY", "properties": {"status": status}}]}}


def functions(*names: str) -> Answer:
    return {"json": [{"name": f"{APP}/{name}"} for name in names]}


def key(value: str | None) -> Answer:
    return {"json": {"masterKey": SYSTEM_KEY, "systemKeys": {"blobs_extension": value} if value else {}}}


USUAL: dict[str, Answer] = {
    "az account show *": {"json": {"id": SUBSCRIPTION}},
    "func --version": {"text": "4.7.1\n"},
    EXISTS: {"text": "false\n"},
    GROUP: {"json": {"location": "West Europe", "tags": {"application": "speech-transcription"}}},
    REGIONS: {"json": [{"name": "northeurope"}, {"name": "West Europe"}]},
    RUNTIMES: {"json": [{"version": "3.12"}, {"version": "3.13"}]},
    DELETED_SPEECH: {"json": []},
    DELETED_VAULTS: {"json": []},
    "az group create *": NOTHING,
    MAIN: NOTHING,
    OUTPUTS: {
        "json": {
            "properties": {
                "outputs": {
                    "appName": {"value": APP},
                    "storageAccountName": {"value": ACCOUNT},
                    "blobUrl": {"value": f"https://{ACCOUNT}.blob.core.windows.net/"},
                    "systemTopicName": {"value": TOPIC},
                    "audioContainer": {"value": "audio"},
                    "transcriptContainer": {"value": "transcripts"},
                    "deadLetterContainer": {"value": "dead-letters"},
                    "sweeps": {"value": "yes"},
                    "alertsReachSomebody": {"value": "yes"},
                },
                "parameters": {"settings": {"type": "Object", "value": {}}},
            }
        }
    },
    WORK: {"json": []},
    "az deployment group what-if *": {"text": "+ everything\n"},
    PUBLISH: NOTHING,
    LISTED: functions(*FUNCTIONS),
    KEYS: key(SYSTEM_KEY),
    EVENTS: NOTHING,
    "az rest --method post *": NOTHING,
    REFERENCE: reference("Resolved"),
    UPLOAD: {"json": {"etag": f'"{ETAG}"', "request_id": "r"}},
    SHOW: document(),
    DOWNLOAD: {"file": '{"status": "Succeeded", "text": "Hello."}\n'},
    "az resource list *": {"json": [{"name": name} for name in (ACCOUNT, SPEECH, VAULT)]},
    "az keyvault show *": {"json": {"properties": {"enablePurgeProtection": None}}},
    "az functionapp restart *": NOTHING,
    "az group delete *": NOTHING,
    "az cognitiveservices account purge *": NOTHING,
    "az keyvault purge *": NOTHING,
}


@dataclass
class ScriptRun:
    """One run of the script: its output, and its calls of other commands."""

    code: int
    output: str
    errors: str
    calls: list[str]
    environments: dict[str, dict[str, str]]  # call → the variables that it got
    waits: list[str]  # seconds, one entry for each sleep
    published: list[str]  # paths of files
    leftovers: list[str]  # folders that the script did not delete

    def called(self, pattern: str) -> list[str]:
        return [call for call in self.calls if fnmatch.fnmatchcase(call, pattern)]

    @property
    def changes(self) -> list[str]:
        """Return the calls that change something, each cut before its first option."""
        heads = (call.partition(" --")[0] for call in self.calls if "--method get" not in call)
        return [head for head in heads if not re.search(r" (show|exists|what-if|download|list\S*)$|^func$", head)]


Deploy = Callable[..., ScriptRun]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """Return a function that runs the script with some arguments. `answers` replaces the usual answers by pattern."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("az", "func"):
        program(tools / name, f'exec "{sys.executable}" -I -S "{FAKE_COMMANDS}" {name} "$@"')
    program(tools / "sleep", 'echo "$1" >> "$FAKE_COMMANDS/waits"')

    def run(
        *arguments: str, answers: Mapping[str, Answer | list[Answer]] | None = None, **environment: str
    ) -> ScriptRun:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        table = {**(answers or {}), **{pattern: USUAL[pattern] for pattern in USUAL if pattern not in (answers or {})}}
        listed = [[pattern, each if isinstance(each, list) else [each]] for pattern, each in table.items()]
        (folder / "answers.json").write_text(json.dumps(listed))
        done = subprocess.run(
            [BASH, str(INFRA / "deploy.sh"), *arguments],
            cwd=tmp_path,
            env={
                "PATH": f"{tools}:/usr/bin:/bin",
                "FAKE_COMMANDS": str(folder),
                "SITE_PACKAGES": str(Path(jmespath.__file__).parent.parent),
                "TMPDIR": str(folder),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            start_new_session=True,
        )
        calls = [json.loads(line) for line in lines(folder / "calls.jsonl")]
        return ScriptRun(
            done.returncode,
            done.stdout,
            done.stderr,
            [each["call"] for each in calls],
            {each["call"]: each["environment"] for each in calls},
            lines(folder / "waits"),
            next((each["files"] for each in calls if fnmatch.fnmatchcase(each["call"], PUBLISH)), []),
            [each.name for each in folder.iterdir() if each.is_dir()],
        )

    return run


def program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


NEW = ("--group", "recordings", "--location", "westeurope")
GROUP_EXISTS = {EXISTS: {"text": "true\n"}}

# --- A normal run ---


def test_a_first_run_takes_all_steps_in_order_and_prints_the_transcript(deploy: Deploy) -> None:
    run = deploy(*NEW)
    assert (run.code, run.errors) == (0, "")
    assert run.changes == [
        "az group create",
        "az deployment group create",
        "az rest",
        f"func azure functionapp publish {APP}",
        "az deployment group create",
        "az storage blob upload",
    ]
    assert '"text": "Hello."' in run.output
    assert "✓ Ready" in run.output
    assert run.waits == []


def test_each_step_is_announced_with_its_duration(deploy: Deploy) -> None:
    steps = re.findall(r"^▸ .+$", deploy(*NEW).output, re.MULTILINE)
    assert len(steps) == 11
    assert all(re.search(r"\((seconds|.*minute.*)\) …$", step) for step in steps)


def test_the_commands_get_the_right_arguments(deploy: Deploy) -> None:
    run = deploy(*NEW)
    (main,), (events,) = run.called(MAIN), run.called(EVENTS)
    assert "--resource-group recordings" in main
    assert f"--template-file infra/main.bicep --parameters {INFRA}/main.bicepparam" in main
    assert "--template-file infra/events.bicep" in events
    given = dict(pair.split("=") for pair in events.partition("--parameters ")[2].partition(" --sub")[0].split())
    assert given == {
        "appName": APP,
        "storageAccountName": ACCOUNT,
        "systemTopicName": TOPIC,
        "audioContainer": "audio",
        "deadLetterContainer": "dead-letters",
    }
    assert set(given) < set(re.findall(r"^param (\w+)", (INFRA / "events.bicep").read_text(), re.MULTILINE))
    assert run.called(PUBLISH) == [
        f"func azure functionapp publish {APP} --python --build remote --subscription {SUBSCRIPTION}"
    ]
    (created,) = run.called("az group create *")
    assert "--tags application=speech-transcription" in created
    (uploaded,) = run.called(UPLOAD)
    assert "--auth-mode login" in uploaded
    assert "--metadata language=en-US" in uploaded  # the sample is English, whatever SPEECH_LANGUAGE is
    assert (PROJECT / re.findall(r"--file (\S+)", uploaded)[0]).is_file()


def test_every_call_names_the_chosen_subscription(deploy: Deploy) -> None:
    run = deploy(*NEW, "--subscription", "another-one")
    assert not run.called("az account *")
    for call in run.calls:
        assert "another-one" in call or call == "func --version", call


def test_the_script_reads_exactly_the_outputs_of_the_template() -> None:
    written = set(re.findall(r"^output (\w+)", (INFRA / "main.bicep").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\(output (\w+)\)", (INFRA / "deploy.sh").read_text())) == written | {
        "alertsReachSomebody"
    }
    assert "transcribe" in FUNCTIONS


def test_a_second_run_succeeds_and_creates_no_group(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", answers={EXISTS: {"text": "true\n"}})
    assert (run.code, run.errors) == (0, "")
    assert not run.called("az group create *")
    assert run.called("az functionapp list-flexconsumption-runtimes --location westeurope *")
    assert [run.environments[call] for call in run.called(MAIN)] == [
        {"RESTORE_SPEECH": "false", "RECOVER_VAULT": "false"}
    ]


def test_deleted_resources_of_this_group_are_restored_and_no_others(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={DELETED_SPEECH: SPEECH_GONE, DELETED_VAULTS: vault_gone(protected=True)})
    assert [run.environments[call] for call in run.called(MAIN)] == [
        {"RESTORE_SPEECH": "true", "RECOVER_VAULT": "true"}
    ]
    other = deploy(
        "--group",
        "a-third",
        "--location",
        "westeurope",
        answers={DELETED_SPEECH: SPEECH_GONE, DELETED_VAULTS: vault_gone(True)},
    )
    assert other.environments[other.called(MAIN)[0]] == {"RESTORE_SPEECH": "false", "RECOVER_VAULT": "false"}


def test_a_role_on_the_resource_group_is_enough(deploy: Deploy) -> None:
    subscription_scope = {REGIONS: NO_ROLE, RUNTIMES: NO_ROLE, DELETED_SPEECH: NO_ROLE, DELETED_VAULTS: NO_ROLE}
    run = deploy("--group", "recordings", answers={**GROUP_EXISTS, **subscription_scope})
    assert (run.code, run.errors) == (0, "")
    assert "⚠ Azure does not tell you which regions offer Flex Consumption" in run.output
    assert "⚠ Azure does not tell you which versions of Python westeurope offers" in run.output
    assert run.output.count("you may not list deleted") == 2


def test_an_empty_list_of_regions_is_no_reason_to_stop(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={REGIONS: {"json": []}, RUNTIMES: {"json": []}})
    assert (run.code, run.errors) == (0, "")
    assert run.output.count("⚠ Azure does not tell you") == 2


def test_what_if_shows_the_changes_and_makes_none(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", "--what-if", answers={EXISTS: {"text": "true\n"}})
    assert run.code == 0
    assert run.changes == []
    assert "+ everything" in run.output
    new = deploy(*NEW, "--what-if")
    assert (new.code, new.changes) == (1, [])
    assert "az group create -n recordings -l westeurope" in new.errors


def test_the_parameter_file_is_relative_to_the_callers_folder(deploy: Deploy, tmp_path: Path) -> None:
    (tmp_path / "my.bicepparam").write_text("using 'main.bicep'\n")
    run = deploy(*NEW, "--parameters", "my.bicepparam")
    assert f"--parameters {tmp_path}/my.bicepparam" in run.called(MAIN)[0]


def test_the_events_option_only_deploys_the_event_subscription(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", "--events", answers={EXISTS: {"text": "true\n"}})
    assert (run.code, run.errors) == (0, "")
    assert run.changes == ["az deployment group create"]
    assert f"appName={APP}" in run.called(EVENTS)[0]


def test_the_printed_redrive_command_can_be_run(deploy: Deploy) -> None:
    (command,) = re.findall(r"^  python (infra/redrive\.py .+)$", deploy(*NEW).output, re.MULTILINE)
    script, *arguments = command.split()
    assert (PROJECT / script).is_file()
    assert vars(redrive.parser().parse_args(arguments)) | {"since": None} == {
        "connection_string": None,
        "account_url": f"https://{ACCOUNT}.blob.core.windows.net/",
        "queue_url": None,
        "audio_container": "audio",
        "transcript_container": "transcripts",
        "since": None,
        "prefix": "",
        "dry_run": True,
    }


def test_only_the_package_is_published(deploy: Deploy) -> None:
    published = deploy(*NEW).published
    assert {"function_app.py", "host.json", "requirements.txt", "transcription/job.py"} <= set(published)
    assert {name.split("/")[0] for name in published} == {
        "function_app.py",
        "host.json",
        "requirements.txt",
        "transcription",
    }


# --- Work in progress ---


def test_an_update_says_how_many_recordings_it_interrupts(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", answers={**GROUP_EXISTS, WORK: progress("locked", "unlocked", "locked")})
    assert (run.code, run.errors) == (0, "")
    assert "⚠ 2 recordings are being worked on." in run.output
    (listed,) = run.called(WORK)
    assert f"--auth-mode login --account-name {ACCOUNT} --container-name {WORK_CONTAINER} " in listed
    assert f"--prefix {PROGRESS_PREFIX} " in listed
    assert run.calls.index(listed) < run.calls.index(run.called(MAIN)[0])


def test_the_work_container_may_have_another_name(deploy: Deploy) -> None:
    named = outputs()
    named["json"]["properties"]["parameters"]["settings"]["value"] = {"WORK_CONTAINER": "half-done"}
    run = deploy("--group", "recordings", answers={**GROUP_EXISTS, OUTPUTS: named})
    assert "--container-name half-done " in run.called(WORK)[0]
    assert "none; recordings of one or two clips are not counted" in run.output


def test_an_update_goes_on_if_the_work_cannot_be_seen(deploy: Deploy) -> None:
    the_last_one_failed = {OUTPUTS: [{"json": {"properties": {"outputs": None}}}, outputs()]}
    for unseen in ({WORK: FORBIDDEN}, {OUTPUTS: [FORBIDDEN, outputs()]}, the_last_one_failed):
        run = deploy("--group", "recordings", answers={**GROUP_EXISTS, **unseen})
        assert (run.code, run.errors) == (0, "")
        assert "⚠ They cannot be seen" in run.output


def test_the_first_deployment_to_an_existing_group_interrupts_nothing(deploy: Deploy) -> None:
    missing = {"error": "ERROR: (DeploymentNotFound) Deployment 'transcription-main' could not be found.", "code": 3}
    run = deploy("--group", "recordings", answers={**GROUP_EXISTS, OUTPUTS: [missing, outputs()]})
    assert (run.code, run.errors) == (0, "")
    assert "nothing is deployed yet" in run.output
    assert not run.called(WORK)
    assert not deploy(*NEW).called(WORK)


# --- Alarms ---


def test_the_script_says_that_alarms_reach_nobody(deploy: Deploy) -> None:
    assert "Alarms reach nobody" not in deploy(*NEW).output
    run = deploy(*NEW, answers={OUTPUTS: outputs(alertsReachSomebody="no")})
    assert (run.code, run.errors) == (0, "")
    ending = run.output.partition("✓ Ready")[2]  # where it is seen
    assert "⚠ Alarms reach nobody: alertEmail is empty" in ending
    assert f"Set it in {INFRA}/main.bicepparam" in ending


# --- The number of instances ---

# The text that Azure gave in polymind-inc/acmebot issue 946, with the numbers of a region that accepts 40 at least.
TOO_FEW: Answer = {
    "error": "ERROR: BadRequest: Site.FunctionAppConfig.ScaleAndConcurrency is invalid.  InvalidMaximumInstanceCount - "
    "The specified value of maximumInstanceCount (12) is not allowed, the allowed value range is [40, 1000].",
    "code": 1,
}


def test_the_wanted_number_of_instances_is_asked_for_first(deploy: Deploy) -> None:
    (main,) = deploy(*NEW).called(MAIN)
    assert "maximumInstances" not in main


@pytest.mark.parametrize("own_file", [None, "using 'main.bicep'\n", "using 'main.bicep'\nparam speechSku = 'F0'\n"])
def test_forty_instances_are_asked_for_where_azure_refuses_fewer(
    deploy: Deploy, tmp_path: Path, own_file: str | None
) -> None:
    options: tuple[str, ...] = ()
    if own_file:
        (tmp_path / "my.bicepparam").write_text(own_file)
        options = ("--parameters", "my.bicepparam")
    run = deploy(*NEW, *options, answers={MAIN: [TOO_FEW, NOTHING]})
    assert (run.code, run.errors) == (0, "")
    assert "westeurope refuses this maximumInstances. Trying again with 40" in run.output
    first, second = run.called(MAIN)
    assert second.replace(" --parameters maximumInstances=40", "") == first
    assert second != first


def test_what_if_asks_for_forty_instances_too(deploy: Deploy) -> None:
    what_if = "az deployment group what-if *"
    run = deploy("--group", "recordings", "--what-if", answers={**GROUP_EXISTS, what_if: [TOO_FEW, NOTHING]})
    assert (run.code, run.changes) == (0, [])
    assert "--parameters maximumInstances=40" in run.called(what_if)[1]


def test_another_error_is_not_tried_again_with_more_instances(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={MAIN: FAILED})
    assert run.code == 1
    assert len(run.called(MAIN)) == 1


@pytest.mark.parametrize("own", [None, "", "param maximumInstances = 3\n"])
def test_a_parameter_on_the_command_line_replaces_that_of_any_file(bicep: str, tmp_path: Path, own: str | None) -> None:
    """The Azure CLI hands --parameters NAME=VALUE to the compiler in this variable (azure-cli pull request 28826)."""
    folder = tmp_path / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if own is not None:
        (folder / "main.bicepparam").write_text(f"using 'main.bicep'\n{own}")
    build = subprocess.run(
        [bicep, "build-params", str(folder / "main.bicepparam"), "--stdout"],
        env={**os.environ, "BICEP_PARAMETERS_OVERRIDES": json.dumps({"maximumInstances": 40})},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    parameters = json.loads(json.loads(build.stdout)["parametersJson"])["parameters"]
    assert parameters["maximumInstances"] == {"value": 40}


# --- The Speech key ---


def test_the_app_reads_the_vault_before_the_code_is_published(deploy: Deploy) -> None:
    run = deploy(*NEW)
    order = [call for call in run.calls if fnmatch.fnmatchcase(call, REFERENCE) or fnmatch.fnmatchcase(call, PUBLISH)]
    assert [call.split()[0] for call in order] == ["az", "func"]
    assert not run.called("az functionapp restart *")


def test_an_app_without_its_key_is_restarted_once_the_key_is_readable(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={REFERENCE: [reference("AccessToKeyVaultDenied")] * 3 + [reference("Resolved")]})
    assert run.code == 0
    assert "not yet (AccessToKeyVaultDenied)" in run.output
    (restart,) = run.called("az functionapp restart *")
    assert run.calls.index(restart) > run.calls.index(run.called(REFERENCE)[-1])
    assert run.calls.index(restart) < run.calls.index(run.called(UPLOAD)[0])


@pytest.mark.parametrize(
    "shown", [reference("SecretNotFound"), reference("Initialized"), {"json": {"value": []}}, FAILED]
)
def test_a_reference_that_is_not_shown_as_resolved_is_a_warning(deploy: Deploy, shown: Answer) -> None:
    run = deploy(*NEW, answers={REFERENCE: shown})
    assert (run.code, run.errors) == (0, "")
    status = shown["json"]["value"][0]["properties"]["status"] if shown.get("json", {}).get("value") else "unknown"
    assert f"⚠ Azure shows the app's reference to the Speech key as {status}" in run.output
    assert len(run.called("az functionapp restart *")) == 1  # instances keep the value that they started with
    assert "✓ Ready" in run.output


def test_the_sample_decides_if_the_reference_matters(deploy: Deploy) -> None:
    failed = {"file": '{"status": "Failed", "error": {"code": "Configuration"}}\n'}
    answers = {REFERENCE: reference("SecretNotFound"), SHOW: document(status="Failed"), DOWNLOAD: failed}
    run = deploy(*NEW, answers=answers)
    assert run.code == 1
    assert "as SecretNotFound" in run.output
    assert "The sample ended as Failed" in run.errors


def test_what_cannot_be_seen_is_not_waited_for_long(deploy: Deploy) -> None:
    seen = deploy(*NEW, answers={REFERENCE: reference("AccessToKeyVaultDenied")})
    unseen = deploy(*NEW, answers={REFERENCE: FAILED})
    assert (seen.waits.count("30"), unseen.waits.count("30")) == (19, 2)


def test_an_app_that_cannot_be_restarted_is_a_warning(deploy: Deploy) -> None:
    shown = [reference("AccessToKeyVaultDenied")] * 3 + [reference("Resolved")]
    run = deploy(*NEW, answers={REFERENCE: shown, "az functionapp restart *": FAILED})
    assert run.code == 0
    assert "⚠ The app could not be restarted" in run.output
    assert f"az functionapp restart -g recordings -n {APP}" in run.output


# --- Interruption ---


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Enable Ctrl-C for child processes. They inherit it disabled if the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [KEYS, EVENTS, UPLOAD, PUBLISH])
def test_an_interrupt_ends_the_script_even_during_a_retried_step(
    deploy: Deploy, step: str, number: signal.Signals
) -> None:
    run = deploy(*NEW, answers={step: {"signal": number, "code": 1}})
    assert run.code == 128 + number
    assert "Stopped" in run.errors
    assert fnmatch.fnmatchcase(run.calls[-1], step)
    assert len(run.called(step)) == 1
    assert run.leftovers == []


# --- Waiting and retries ---


def test_a_lost_first_event_is_not_hidden_by_the_second(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={SHOW: [FAILED] * 24 + [document()]})
    assert (run.code, run.errors) == (0, "")
    assert len(run.called(UPLOAD)) == 2
    assert "⚠ The sample had to be uploaded twice" in run.output
    assert "twice" not in deploy(*NEW, answers={SHOW: [FAILED] * 23 + [document()]}).output


def test_the_script_waits_for_everything_that_is_slow(deploy: Deploy) -> None:
    run = deploy(
        *NEW,
        answers={
            PUBLISH: [{"error": "Can't find app with name", "code": 1}, {"error": "502", "code": 1}, NOTHING],
            LISTED: [FAILED, functions(), functions(*FUNCTIONS)],
            KEYS: [FAILED, key(None), {"json": {"systemKeys": None}}, key(SYSTEM_KEY)],
            EVENTS: [{"error": "URL validation", "code": 1}, NOTHING],
            REFERENCE: [reference("AccessToKeyVaultDenied")] * 4 + [{"json": {"value": []}}, reference("Resolved")],
            UPLOAD: [FORBIDDEN, FORBIDDEN, USUAL[UPLOAD]],
            SHOW: [FAILED, document("an-older-upload"), document()],
        },
    )
    assert (run.code, run.errors) == (0, "")
    assert len(run.called(PUBLISH)) == 3
    assert len(run.called("az rest --method post *")) == 6  # each check makes the app read the vault again
    before_publishing = ["20", "20"]
    publishing, key_exists = ["30", "30", "10", "10"], ["10", "10", "10"]
    subscribing, resolved = ["30"], ["30", "30"]
    assert run.waits == [*before_publishing, *publishing, *key_exists, *subscribing, *resolved, "30", "30", "5", "5"]


def test_the_code_is_published_again_if_no_function_is_listed(deploy: Deploy) -> None:
    nothing_listed = [functions()] * 12
    run = deploy(*NEW, answers={LISTED: [*nothing_listed, functions(*FUNCTIONS)]})
    assert run.code == 0
    assert len(run.called(PUBLISH)) == 2


def test_the_script_fails_if_one_function_is_missing(deploy: Deploy) -> None:
    run = deploy(*NEW, answers={LISTED: functions(*FUNCTIONS[:-1], "another")})
    assert run.code == 1
    assert len(run.called(PUBLISH)) == 3
    assert "does not list its functions" in run.errors
    assert "AppExceptions" in run.errors
    assert "log tail" not in run.errors


def test_a_sweep_that_is_turned_off_is_not_waited_for(deploy: Deploy) -> None:
    listed = functions(*(name for name in FUNCTIONS if name != "sweep"))
    run = deploy(*NEW, answers={OUTPUTS: outputs(sweeps="no"), LISTED: listed})
    assert run.code == 0
    assert len(run.called(PUBLISH)) == 1


# --- Failures ---

STEPS: dict[str, tuple[str, str]] = {
    "az account show *": ("not logged in", "az login"),
    EXISTS: ("subscription cannot be read", "--subscription"),
    "az group create *": ("could not be created", "Contributor"),
    MAIN: ("could not be deployed", "run this script again"),
    OUTPUTS: ("outputs of the deployment cannot be read", "again"),
    PUBLISH: ("could not publish", "Wait ten minutes"),
    LISTED: ("does not list its functions", "AppTraces"),
    KEYS: ("has not created its key", "restart"),
    EVENTS: ("did not accept the subscription", "Run this script again"),
    UPLOAD: ("could not be uploaded", "half an hour"),
    SHOW: ("no transcript after six minutes", "docs/deploy.md"),
    DOWNLOAD: ("cannot be read", "again"),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_ends_the_script_with_the_error_and_advice(deploy: Deploy, step: str) -> None:
    run = deploy(*NEW, answers={step: FAILED})
    problem, advice = STEPS[step]
    assert run.code == 1
    assert problem in run.errors
    assert advice in run.errors
    assert "it did not work" in run.errors
    assert fnmatch.fnmatchcase(run.calls[-1], step)  # no step follows
    assert "✓" not in run.output


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("FlagMustBeSetForRestore: …", "account purge"),
        ("CanNotCreateMultipleFreeAccounts", "speechSku = 'S0'"),
        ("InvalidMaximumInstanceCount - …, the allowed value range is [50, 1000].", "Set maximumInstances"),
        ("A system topic already exists for source", "existingSystemTopic"),
        ("does not have authorization to perform action 'Microsoft.Authorization/roleAssignments/write'", "Owner"),
        ("VaultAlreadyExists", "keyvault recover"),
        ("DeploymentActive: The deployment with resource id …", "az deployment group cancel -g recordings"),
        ("main.bicep(3,1) : Error BCP057", "az bicep upgrade"),
        (
            "MissingSubscriptionRegistration: … not registered to use namespace 'Microsoft.EventGrid'.",
            f"az provider register --subscription {SUBSCRIPTION} --namespace Microsoft.EventGrid --wait",
        ),
        (
            "does not have authorization to perform action 'Microsoft.Web/register/action' over scope …",
            f"az provider register --subscription {SUBSCRIPTION} --namespace Microsoft.Web --wait",
        ),
    ],
)
def test_known_deployment_errors_come_with_advice(deploy: Deploy, error: str, advice: str) -> None:
    run = deploy(*NEW, answers={MAIN: {"error": error, "code": 1}})
    assert run.code == 1
    assert error in run.errors
    assert advice in run.errors


def test_every_unregistered_provider_is_named_once(deploy: Deploy) -> None:
    sentence = "The subscription is not registered to use namespace '{}'. See https://aka.ms/rps-not-found."
    details = [
        {"code": "MissingSubscriptionRegistration", "message": sentence.format(name)}
        for name in ("Microsoft.Web", "Microsoft.KeyVault", "Microsoft.Web")
    ]
    run = deploy(*NEW, answers={MAIN: {"error": json.dumps({"error": {"details": details}}), "code": 1}})
    commands = re.findall(r"^ +az provider register .* --namespace (\S+) --wait$", run.errors, re.MULTILINE)
    assert commands == ["Microsoft.KeyVault", "Microsoft.Web"]
    assert "Contributor on the subscription" in run.errors


def test_the_output_of_func_is_shown_at_once_and_after_a_failure(deploy: Deploy) -> None:
    answer = {"text": "Deployment was partially successful.\n"}
    assert "  | Deployment was partially" in deploy(*NEW, answers={PUBLISH: answer}).output
    failed = deploy(*NEW, answers={PUBLISH: answer, LISTED: functions()})
    assert "partially successful" in failed.errors


@pytest.mark.parametrize("name", ["appName", "blobUrl", "deadLetterContainer"])
def test_a_missing_output_ends_the_script(deploy: Deploy, name: str) -> None:
    run = deploy(*NEW, answers={OUTPUTS: outputs(**{name: ""})})
    assert run.code == 1
    assert f"no output {name}" in run.errors
    assert not run.called(PUBLISH)


def test_a_failed_sample_is_printed_and_fails_the_script(deploy: Deploy) -> None:
    failed = {"file": '{"status": "Failed", "error": {"code": "Configuration"}}\n'}
    run = deploy(*NEW, answers={SHOW: document(status="Failed"), DOWNLOAD: failed})
    assert run.code == 1
    assert "Configuration" in run.output
    assert "The sample ended as Failed" in run.errors


@pytest.mark.parametrize(
    ("arguments", "answers", "message"),
    [
        ((), {}, "The resource group is missing"),
        (("--group",), {}, "needs a value"),
        (("--grop", "x"), {}, "no option --grop"),
        (("--group", "--yes"), {}, "needs a value"),
        (("--group", "r", "--what-if", "--delete"), {}, "cannot be combined"),
        (("--group", "r", "--delete", "--events"), {}, "cannot be combined"),
        (("--group", "r", "--events"), {}, "no group r"),
        ((*NEW, "--parameters", "no.bicepparam"), {}, "/no.bicepparam"),
        (("--group", "recordings"), {}, "Add the region to create it in"),
        (("--group", "r", "--location", "uksouth"), {}, "Use one of: northeurope westeurope"),
        (("--group", "r", "--location", "uksouth"), {EXISTS: {"text": "true\n"}}, "is in westeurope, not in uksouth"),
        (NEW, {"func --version": {"text": "3.0.1\n"}}, "not version 4"),
        (NEW, {RUNTIMES: {"json": [{"version": "3.12"}]}}, "does not offer Python 3.13"),
    ],
)
def test_impossible_requests_are_refused_before_any_change(
    deploy: Deploy, arguments: tuple[str, ...], answers: dict[str, Answer], message: str
) -> None:
    run = deploy(*arguments, answers=answers)
    assert run.code == 1
    assert message in run.errors
    assert run.changes == []


def test_regions_may_be_written_as_in_the_portal(deploy: Deploy) -> None:
    assert deploy("--group", "recordings", "--location", "West Europe").code == 0


@pytest.mark.parametrize("missing", ["az", "func"])
def test_a_missing_tool_is_named_with_its_download_address(tmp_path: Path, missing: str) -> None:
    for tool in {"az", "func"} - {missing}:
        program(tmp_path / tool, "exit 0")
    for tool in ("bash", "cat", "dirname", "mktemp", "rm", "sed", "tail", "tr"):  # not all of PATH: it may contain az
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(
        [BASH, str(INFRA / "deploy.sh"), *NEW],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert f"{missing} is not installed." in done.stderr
    assert "https://aka.ms/" in done.stderr


# --- Secrets ---


def test_no_key_appears_in_a_command_line_or_in_the_output(deploy: Deploy) -> None:
    quoted = {"error": f"ERROR: no answer from https://{APP}/runtime/webhooks/blobs?a=b&code={SYSTEM_KEY}", "code": 1}
    for answers in ({}, {EVENTS: quoted}, {REFERENCE: reference("SecretNotFound")}, {MAIN: FAILED}):
        run = deploy(*NEW, answers=answers, EXISTING_SPEECH_KEY=SPEECH_KEY)
        assert run.environments[run.called(MAIN)[0]]["EXISTING_SPEECH_KEY"] == SPEECH_KEY
        for text in (run.output, run.errors, *run.calls):
            assert SYSTEM_KEY not in text
            assert SPEECH_KEY not in text


# --- Deletion ---


def test_delete_removes_the_group_and_purges_what_azure_keeps(deploy: Deploy) -> None:
    gone: dict[str, Any] = {DELETED_SPEECH: SPEECH_GONE, DELETED_VAULTS: [vault_gone(protected=False), {"json": []}]}
    run = deploy("--group", "recordings", "--delete", "--yes", answers={**GROUP_EXISTS, **gone})
    assert (run.code, run.errors) == (0, "")
    assert run.changes == ["az group delete", "az cognitiveservices account purge", "az keyvault purge"]
    assert ACCOUNT in run.output  # the resources are listed before
    assert "--name speech-transcription-recordings" in run.called("az cognitiveservices account purge *")[0]
    assert "--name kv-recordings" in run.called("az keyvault purge *")[0]


def test_a_protected_vault_is_reported_and_not_purged(deploy: Deploy) -> None:
    protected = {"az keyvault show *": {"json": {"properties": {"enablePurgeProtection": True}}}}
    lists: list[Answer] = [vault_gone(protected=True), {"json": []}, FORBIDDEN]
    for listed in lists:
        answers = {**GROUP_EXISTS, **protected, DELETED_VAULTS: listed}
        run = deploy("--group", "recordings", "--delete", "--yes", answers=answers)
        assert run.code == 0
        assert not run.called("az keyvault purge *")
        assert "kv-recordings is protected" in run.output


@pytest.mark.parametrize("listed", [{"json": []}, FORBIDDEN])
def test_resources_of_the_group_are_purged_even_if_azure_does_not_list_them(deploy: Deploy, listed: Answer) -> None:
    not_yet = [FAILED, NOTHING]
    answers = {
        **GROUP_EXISTS,
        DELETED_SPEECH: listed,
        DELETED_VAULTS: listed,
        "az cognitiveservices account purge *": not_yet,
    }
    run = deploy("--group", "recordings", "--delete", "--yes", answers=answers)
    assert (run.code, run.errors) == (0, "")
    assert f"--name {SPEECH}" in run.called("az cognitiveservices account purge *")[-1]
    assert f"--name {VAULT}" in run.called("az keyvault purge *")[0]
    assert run.waits == ["10"]
    assert ("you may not list" in run.output) == (listed is FORBIDDEN)


def test_a_group_that_cannot_be_listed_is_not_deleted(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", "--delete", "--yes", answers={**GROUP_EXISTS, "az resource list *": FAILED})
    assert (run.code, run.changes) == (1, [])
    assert "cannot be listed" in run.errors


def test_a_group_of_another_origin_is_not_deleted(deploy: Deploy) -> None:
    foreign = {GROUP: {"json": {"location": "westeurope", "tags": None}}}
    run = deploy("--group", "recordings", "--delete", "--yes", answers={**GROUP_EXISTS, **foreign})
    assert (run.code, run.changes) == (1, [])
    assert "az resource list" in run.errors


def test_nothing_is_deleted_without_confirmation(deploy: Deploy) -> None:
    run = deploy("--group", "recordings", "--delete", answers=GROUP_EXISTS)
    assert (run.code, run.changes) == (1, [])
    assert "--yes" in run.errors


def test_a_second_deletion_purges_what_is_left(deploy: Deploy) -> None:
    run = deploy(*NEW, "--delete", answers={DELETED_SPEECH: SPEECH_GONE})
    assert (run.code, run.changes) == (0, ["az cognitiveservices account purge"])
    assert deploy("--group", "recordings", "--delete").code == 1


@pytest.mark.parametrize("step", ["az group delete *", "az cognitiveservices account purge *", "az keyvault purge *"])
def test_a_failed_deletion_comes_with_advice(deploy: Deploy, step: str) -> None:
    gone = {DELETED_SPEECH: SPEECH_GONE, DELETED_VAULTS: vault_gone(protected=False)}
    run = deploy("--group", "recordings", "--delete", "--yes", answers={**GROUP_EXISTS, **gone, step: FAILED})
    assert run.code == 1
    assert "→" in run.errors
    assert fnmatch.fnmatchcase(run.calls[-1], step)


# --- The script itself ---


def test_shellcheck_finds_nothing() -> None:
    command = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([command, str(INFRA / "deploy.sh")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_help_needs_no_tools(tmp_path: Path) -> None:
    done = subprocess.run(
        [BASH, str(INFRA / "deploy.sh"), "--help"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0
    for option in ["group", "location", "parameters", "subscription", "what-if", "events", "delete", "yes"]:
        assert f"--{option} " in done.stdout
