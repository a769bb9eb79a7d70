#!/usr/bin/env bash
# Deploys the whole app to a resource group: resources, code and events. Then transcribes a sample. See docs/deploy.md.
# Must run in bash 3.2 too, the version that macOS has.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'END'
infra/deploy.sh --group NAME [--location REGION] [--parameters FILE] [--subscription ID]
  Deploys everything, or updates it. Takes 8 to 17 minutes, up to an hour if Azure is slow. Safe to run again.

  --group NAME         the resource group; created if it does not exist
  --location REGION    such as westeurope; required if the group does not exist yet
  --parameters FILE    a .bicepparam file; default: infra/main.bicepparam
  --subscription ID    default: the one that `az account show` shows
  --what-if            only show what would change
  --events             only subscribe to uploads again, after the system key has changed
  --delete             ask, delete the group that this script created, and purge what Azure keeps of it
  --yes                do not ask

To use a Speech resource of your own, set EXISTING_SPEECH_KEY to its key (see infra/main.bicepparam).
END
}

TAG='speech-transcription'               # on the group and on every resource in it, as in main.bicep
SAMPLE=local/sample.wav                  # English, seven seconds
SAMPLE_BLOB=smoke-test/sample.wav
REFERENCES=config/configreferences/appsettings
INSTANCES_EVERYWHERE=40                  # the smallest maximum that all regions accept (azure-functions-host issue 10523)
# Flex Consumption has no log stream to follow.
WHY='Look for the reason in the Log Analytics workspace, under Logs: union AppTraces, AppExceptions | where TimeGenerated > ago(15m)'
# Read these from where they are defined: the functions to wait for, a default, and the Python version to ask for.
FUNCTIONS=$(sed -n 's/^ *@app\.function_name("\([^"]*\)")$/\1/p' function_app.py)
WORK_CONTAINER=$(sed -n "s/^  WORK_CONTAINER: '\(.*\)'$/\1/p" infra/settings.bicep)
PYTHON_VERSION=$(sed -n "s/.*runtime: { name: 'python', version: '\([0-9.]*\)' }.*/\1/p" infra/modules/app.bicep)

group='' location='' parameters=$PWD/infra/main.bicepparam subscription='' mode=deploy sure=no first_event=arrived
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# On Ctrl-C az only fails. Without these traps the script would retry the command.
trap 'stopped 130' INT
trap 'stopped 143' TERM

# --- Output and waiting ---

step() { printf '\n▸ %s (%s) …\n' "$1" "$2"; }

say() { printf '  %s\n' "$*"; }

warn() { printf '\n  ⚠ %s\n' "$*"; }

# fail PROBLEM ADVICE: ends the script. An error may quote the webhook's address, so the key in it is removed.
fail() {
  printf '\n✗ %s\n' "$1" >&2
  if [ -s "$work/error" ]; then
    tail -n 25 "$work/error" | sed -e 's/code=[^&" ]*/code=…/g' -e 's/^/  | /' >&2
  fi
  printf '  → %s\n' "$2" >&2
  exit 1
}

stopped() {
  printf '\n✗ Stopped. Azure finishes what it has started. Run this script again to continue.\n' >&2
  exit "$1"
}

# wait_for TRIES SECONDS COMMAND …: runs the command until it succeeds, and sleeps between the tries.
wait_for() {
  local tries=$1 seconds=$2 try
  shift 2
  for ((try = 1; try <= tries; try++)); do
    if "$@"; then return 0; fi
    if ((try < tries)); then sleep "$seconds"; fi
  done
  return 1
}

# Runs az in the chosen subscription. fail() shows its errors, and nothing else does.
azure() { az "$@" --subscription "$subscription" --only-show-errors 2>"$work/error"; }

lower() { tr -d ' ' | tr '[:upper:]' '[:lower:]'; }

# --- Checks ---

read_arguments() {
  while (($#)); do
    case $1 in
      --group | --location | --parameters | --subscription)
        case ${2:---} in --*) fail "$1 needs a value." 'See infra/deploy.sh --help.' ;; esac
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --what-if | --events | --delete)
        [ "$mode" = deploy ] || [ "$mode" = "${1#--}" ] || fail "--$mode and $1 cannot be combined." 'Choose one of them.'
        mode=${1#--}
        ;;
      --yes) sure=yes ;;
      --help | -h) usage && exit 0 ;;
      *) fail "There is no option $1." 'See infra/deploy.sh --help.' ;;
    esac
    shift
  done
  [ -n "$group" ] || fail 'The resource group is missing.' 'Name one: infra/deploy.sh --group NAME --location REGION'
  case $parameters in
    /*) ;;
    *) parameters=$caller/$parameters ;;
  esac
  [ -f "$parameters" ] || fail "There is no file $parameters." 'Give the path of a .bicepparam file after --parameters.'
  location=$(lower <<<"$location")
}

check_tools() {
  step 'Checking the tools and the login' 'seconds'
  command -v az >/dev/null || fail 'az is not installed.' 'Install the Azure CLI: https://aka.ms/azure-cli'
  if [ "$mode" = deploy ]; then
    command -v func >/dev/null || fail 'func is not installed.' 'Install Azure Functions Core Tools 4: https://aka.ms/func'
    case $(func --version 2>/dev/null) in
      4.*) ;;
      *) fail 'func is not version 4.' 'Install Azure Functions Core Tools 4: https://aka.ms/func' ;;
    esac
  fi
  if [ -z "$subscription" ]; then
    subscription=$(az account show --query id --output tsv 2>"$work/error") || fail 'az is not logged in.' 'Run: az login'
  fi
  say "subscription $subscription"
}

check_group() {
  local exists of_group
  exists=$(azure group exists --name "$group") ||
    fail 'The subscription cannot be read.' 'Run az login again, name another subscription with --subscription, or ask for a role on the group.'
  if [ "$exists" != true ]; then
    group_exists=no
    [ "$mode" != events ] || fail "There is no group $group." 'Check the name and the subscription.'
    [ "$mode" = delete ] || [ -n "$location" ] ||
      fail "There is no group $group yet." 'Add the region to create it in, such as --location westeurope'
    return
  fi
  group_exists=yes
  of_group=$(azure group show --name "$group" --query location --output tsv | lower) ||
    fail "The group $group cannot be read." 'Ask for a role on it: Owner, or Contributor and Role Based Access Control Administrator.'
  if [ -n "$location" ] && [ "$location" != "$of_group" ]; then
    fail "The group $group is in $of_group, not in $location." 'Omit --location, or name another group.'
  fi
  location=$of_group
}

# Azure only tells this to those with a role on the subscription, and the deployment needs none. So only a clear no ends
# the script.
check_region() {
  local regions versions
  [ -n "$PYTHON_VERSION" ] || fail 'The Python version was not found in infra/modules/app.bicep.' 'Check its line "runtime".'
  step "Checking that $location offers Flex Consumption with Python $PYTHON_VERSION" 'seconds'
  regions=$(azure functionapp list-flexconsumption-locations --query '[].name' --output tsv | lower) || true
  if [ -z "$regions" ]; then
    warn "Azure does not tell you which regions offer Flex Consumption: you have no role on the subscription, or az is too old. Going on with $location."
  elif ! grep -qx "$location" <<<"$regions"; then
    fail "$location does not offer Flex Consumption." "Use one of: $(tr '\n' ' ' <<<"$regions")"
  fi
  versions=$(azure functionapp list-flexconsumption-runtimes --location "$location" --runtime python \
    --query '[].version' --output tsv) || true
  if [ -z "$versions" ]; then
    warn "Azure does not tell you which versions of Python $location offers. Going on with $PYTHON_VERSION."
  elif ! grep -qx "$PYTHON_VERSION" <<<"$versions"; then
    fail "$location does not offer Python $PYTHON_VERSION on Flex Consumption." 'Use another region.'
  fi
}

# These two print what Azure keeps of this group after a deletion, one name per line. They fail without a role on the
# subscription.
deleted_speech() {
  local ids
  ids=$(azure cognitiveservices account list-deleted --query '[].id' --output tsv) || return 1
  grep -iF "/resourceGroups/$group/" <<<"$ids" | grep -iF "/locations/$location/" |
    sed -n 's|.*/\(speech-transcription-[^/]*\)$|\1|p' || true
}

PROTECTED="(properties.purgeProtectionEnabled || \`false\`)"

deleted_vaults() { # [CONDITION]
  local ids
  ids=$(azure keyvault list-deleted --resource-type vault --output tsv \
    --query "[?properties.location=='$location' && properties.tags.application=='$TAG'${1:+ && $1}].properties.vaultId") || return 1
  grep -iF "/resourceGroups/$group/" <<<"$ids" | sed 's|.*/||' || true
}

look_for_deleted() {
  local speech vaults
  step 'Looking for deleted resources that still hold a name' 'seconds'
  RESTORE_SPEECH=false RECOVER_VAULT=false
  speech=$(deleted_speech) || say 'you may not list deleted Speech resources; if one holds the name, the deployment will fail and say so'
  if [ -n "$speech" ]; then RESTORE_SPEECH=true && say 'the deleted Speech resource will be restored'; fi
  vaults=$(deleted_vaults) || say 'you may not list deleted vaults; if one holds the name, the deployment will fail and say so'
  if [ -n "$vaults" ]; then RECOVER_VAULT=true && say 'the deleted vault will be recovered'; fi
  export RESTORE_SPEECH RECOVER_VAULT # main.bicepparam reads them
}

# --- Deploying ---

main_deployment() { # create|what-if [OPTION …]
  azure deployment group "$@" --resource-group "$group" --name transcription-main \
    --template-file infra/main.bicep --parameters "$parameters"
}

# Some regions refuse a small maximumInstances, and Azure does not list which. So ask for the wanted number first. The
# second --parameters overrides what the file says, or does not say.
deploy_main() { # create|what-if [OPTION …]
  if main_deployment "$@"; then return 0; fi
  grep -q InvalidMaximumInstanceCount "$work/error" || return 1
  warn "$location refuses this maximumInstances. Trying again with $INSTANCES_EVERYWHERE. More instances share the same Speech quota."
  main_deployment "$@" --parameters "maximumInstances=$INSTANCES_EVERYWHERE"
}

make_group() {
  [ "$group_exists" = yes ] && return
  step "Creating the group $group in $location" 'seconds'
  azure group create --name "$group" --location "$location" --tags "application=$TAG" --output none ||
    fail "The group $group could not be created." 'Ask for the role Contributor on the subscription, or ask somebody to create the group.'
}

# Prints the storage account and the work container of the last deployment. The account is missing if it failed.
last_deployed() {
  azure deployment group show --resource-group "$group" --name transcription-main --output tsv --query "join(' ', [
    properties.outputs.storageAccountName.value || '',
    properties.parameters.settings.value.WORK_CONTAINER || '$WORK_CONTAINER'])"
}

# A worker holds a lease on the progress of each recording of three clips or more.
leased_progress() { # ACCOUNT CONTAINER
  azure storage blob list --auth-mode login --account-name "$1" --container-name "$2" --prefix progress/ \
    --num-results '*' --query "length([?properties.lease.status=='locked'])" --output tsv
}

# An update stops all instances at once (siteUpdateStrategy Recreate), so tell what it interrupts.
count_work() {
  local last working=''
  [ "$group_exists" = yes ] || return 0
  step 'Counting the recordings that are being worked on' 'seconds'
  last=$(last_deployed) || true
  if grep -q DeploymentNotFound "$work/error"; then
    say 'nothing is deployed yet'
    return
  fi
  if [ -n "${last%% *}" ]; then working=$(leased_progress "${last%% *}" "${last#* }") || working=''; fi
  case $working in
    '') warn 'They cannot be seen: the last deployment failed, or you have no role on the work container. Going on.' ;;
    0) say 'none; recordings of one or two clips are not counted' ;;
    *) warn "$working recordings are being worked on. The update interrupts them; then they continue after their last answered request." ;;
  esac
}

deploy_resources() {
  step 'Deploying the resources' '2 to 4 minutes'
  deploy_main create --output none || fail 'The resources could not be deployed.' "$(advice)"
}

# Sets the names that the deployment chose. None is a secret.
read_outputs() {
  app=$(output appName)
  account=$(output storageAccountName)
  url=$(output blobUrl)
  topic=$(output systemTopicName)
  audio=$(output audioContainer)
  transcripts=$(output transcriptContainer)
  dead_letters=$(output deadLetterContainer)
  sweeps=$(output sweeps)
  say "function app $app, storage account $account"
}

warn_about_alarms() {
  local reached
  reached=$(output alertsReachSomebody)
  [ "$reached" = yes ] || warn "Alarms reach nobody: alertEmail is empty. They only appear in the portal, under Alerts. Set it in $parameters, and run this script again."
}

output() {
  local value
  value=$(azure deployment group show --resource-group "$group" --name transcription-main \
    --query "properties.outputs.$1.value" --output tsv) || fail 'The outputs of the deployment cannot be read.' 'Run this script again.'
  [ -n "$value" ] || fail "The last deployment of $group has no output $1." 'The deployment failed, or belongs to another version. Run infra/deploy.sh without --events.'
  printf '%s' "$value"
}

# Prints the commands that register the resource providers which the error names. Without the right to register them,
# Azure names the action that it refused.
registrations() {
  grep -oE "use namespace '[^']+'|'[A-Za-z.]+/register/action'" "$work/error" |
    sed -e "s/.*'\(.*\)'/\1/" -e 's|/register/action||' | sort -u |
    sed "s/.*/az provider register --subscription $subscription --namespace & --wait/"
}

# Prints what to do about an error of the main deployment.
advice() {
  local text='Fix the error above, and run this script again.'
  case $(cat "$work/error") in
    *MissingSubscriptionRegistration* | */register/action*) text="The subscription has not registered a resource provider. Somebody with the role Contributor on the subscription must run this, and then you this script again:
$(registrations | sed 's/^/    /')" ;;
    *FlagMustBeSetForRestore*) text='A deleted Speech resource that you may not list holds the name. Ask somebody with a role on the subscription to run az cognitiveservices account list-deleted, then … account purge' ;;
    *CanNotCreateMultipleFreeAccounts*) text='The subscription already has its one F0 resource; a deleted one counts for 48 hours. Purge it, or set speechSku = '\''S0'\''.' ;;
    *InvalidMaximumInstanceCount*) text='Set maximumInstances in the parameter file to a number in the range that the error names.' ;;
    *ystem*opic*already* | *"nly one system topic"*) text='The storage account already has an event topic: set existingSystemTopic to its name in the parameter file.' ;;
    *roleAssignments/write*) text='The deployment assigns roles, which you may not do: ask for Owner of the group, or for Contributor and Role Based Access Control Administrator.' ;;
    *VaultAlreadyExists*) text='A deleted vault holds the name. Run az keyvault list-deleted, then az keyvault recover or purge.' ;;
    *DeploymentActive*) text="An earlier deployment is still running in Azure. Wait for it, or run: az deployment group cancel -g $group -n transcription-main" ;;
    *BCP*) text='The Bicep compiler of az may be too old. Run: az bicep upgrade' ;;
  esac
  printf '%s' "$text"
}

# Publish from a folder of its own. func does not read .funcignore as Git would (azure-functions-core-tools issues 2701
# and 4240), and private files next to the code must not be published.
pack() {
  mkdir "$work/package"
  find function_app.py host.json requirements.txt transcription -type f \
    \( -name '*.py' -o -name '*.json' -o -name '*.txt' \) -print | tar -cf - -T - | tar -xf - -C "$work/package"
}

publish() {
  (cd "$work/package" && func azure functionapp publish "$app" --python --build remote --subscription "$subscription") \
    2>&1 | tee "$work/func.log" | sed 's/^/  | /'
}

functions_listed() {
  local listed name
  listed=$(azure functionapp function list --resource-group "$group" --name "$app" --query '[].name' --output tsv) || return 1
  for name in $FUNCTIONS; do
    if [ "$name $sweeps" = 'sweep no' ]; then continue; fi # SWEEP_SCHEDULE is off
    grep -qix "$app/$name" <<<"$listed" || return 1
  done
}

# func exits with 0 even if nothing works, and a new app refuses it for minutes. So check which functions are listed.
publish_code() {
  [ -n "$FUNCTIONS" ] || fail 'No function was found in function_app.py.' 'Check its decorators @app.function_name("…").'
  step 'Publishing the code' '2 to 4 minutes, up to 15 for a new app'
  pack
  for _ in 1 2 3; do
    wait_for 5 30 publish || {
      cp "$work/func.log" "$work/error"
      fail 'func could not publish.' 'New roles and names take some minutes to take effect. Wait ten minutes, and run this script again.'
    }
    if wait_for 12 10 functions_listed; then
      say "functions: $(tr '\n' ' ' <<<"$FUNCTIONS")"
      return
    fi
    say 'published, but the functions are not listed; publishing again'
  done
  cat "$work/func.log" >>"$work/error"
  fail 'The code is published, but the host does not list its functions.' "$WHY"
}

# Asks for the key's length only, so that the key stays in Azure.
system_key_exists() {
  local length
  length=$(azure functionapp keys list --resource-group "$group" --name "$app" \
    --query "length(systemKeys.blobs_extension || '')" --output tsv) || return 1
  [ "${length:-0}" -gt 0 ]
}

subscribe() {
  azure deployment group create --resource-group "$group" --name transcription-events --output none \
    --template-file infra/events.bicep --parameters "appName=$app" "storageAccountName=$account" \
    "systemTopicName=$topic" "audioContainer=$audio" "deadLetterContainer=$dead_letters"
}

deploy_events() {
  step 'Waiting for the key of the blob extension' 'up to 5 minutes'
  wait_for 30 10 system_key_exists ||
    fail 'The host has not created its key blobs_extension.' "Restart the app: az functionapp restart -g $group -n $app. Then run this script again. $WHY"
  step 'Subscribing to uploads' 'a minute; up to 5 while the app starts'
  wait_for 5 30 subscribe ||
    fail 'Event Grid did not accept the subscription.' "Event Grid needs an answer from the app first. Run this script again. $WHY"
}

reference_resolved() {
  local site="/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.Web/sites/$app"
  az rest --method post --url "$site/$REFERENCES/refresh?api-version=2022-03-01" --output none 2>"$work/error" || return 1
  reference=$(az rest --method get --url "$site/$REFERENCES?api-version=2022-03-01" --output tsv \
    --query "value[?name=='AZURE_SPEECH_KEY'].properties.status | [0]" 2>"$work/error") || return 1
  [ "$reference" = Resolved ]
}

# Instances keep the key that they started with. Publishing replaces them, so let the app read the vault first.
read_reference() {
  step 'Making the app read the Speech key from the vault' 'a minute'
  reference=unknown
  wait_for 3 20 reference_resolved || say "not yet (${reference:-unknown}); checked again after publishing"
}

# Azure may show a reference late or wrongly, or not to everybody. So this only warns: the sample decides.
check_reference() {
  local tries=20
  [ "$reference" = Resolved ] && return
  [ "${reference:-unknown}" != unknown ] || tries=3
  step 'Waiting until the app can read the Speech key' 'a minute; up to 10 until roles take effect'
  wait_for "$tries" 30 reference_resolved ||
    warn "Azure shows the app's reference to the Speech key as ${reference:-unknown}, not as Resolved. Going on: the sample shows if the app has the key."
  azure functionapp restart --resource-group "$group" --name "$app" ||
    warn "The app could not be restarted, and may have no Speech key yet. Restart it yourself: az functionapp restart -g $group -n $app"
}

# --- Sample ---

upload_sample() {
  etag=$(azure storage blob upload --auth-mode login --account-name "$account" --container-name "$audio" \
    --name "$SAMPLE_BLOB" --file "$SAMPLE" --metadata language=en-US --overwrite --no-progress \
    --query etag --output tsv) || return 1
  etag=${etag//\"/}
}

# Succeeds once there is a document of this upload, not only one of an earlier run.
transcribed() {
  local found
  found=$(azure storage blob show --auth-mode login --account-name "$account" --container-name "$transcripts" \
    --name "$SAMPLE_BLOB.json" --query "join(' ', [metadata.source_etag, metadata.status])" --output tsv) || return 1
  status=${found#* }
  [ "${found%% *}" = "$etag" ]
}

transcribe_sample() {
  step 'Uploading a spoken sample' 'a minute; up to 10 until your role takes effect'
  wait_for 20 30 upload_sample ||
    fail 'The sample could not be uploaded.' 'Roles can take half an hour to take effect: run this script again later. If it still fails, check userObjectId in the parameter file.'
  step 'Waiting for its transcript' 'a minute; up to 6 for a cold start'
  # A new event subscription may miss the first events, and Event Grid does not retry one that a starting app answers
  # with 401 (azure-functions-host issue 11834).
  if ! wait_for 24 5 transcribed; then
    first_event=missed
    say 'uploading it again, in case the event was lost'
    { upload_sample && wait_for 48 5 transcribed; } ||
      fail 'There is no transcript after six minutes.' "See docs/deploy.md, \"When something is wrong\". The sample is $audio/$SAMPLE_BLOB."
  fi
  azure storage blob download --auth-mode login --account-name "$account" --container-name "$transcripts" \
    --name "$SAMPLE_BLOB.json" --file "$work/transcript.json" --overwrite --no-progress --output none ||
    fail 'The transcript exists but cannot be read.' 'Run this script again.'
  cat "$work/transcript.json"
  [ "$status" = Succeeded ] ||
    fail "The sample ended as $status." 'The document above says why. See README.md, "When it fails", for what to do.'
  if [ "$first_event" = missed ]; then
    warn 'The sample had to be uploaded twice: the first event was lost, or took over two minutes. In use, the sweep finds such uploads within half an hour. If this happens at every deployment, see docs/deploy.md, "When something is wrong".'
  fi
}

print_next_steps() {
  cat <<END

✓ Ready. Upload recordings to the container $audio of $account; transcripts appear in $transcripts:

  az storage blob upload --auth-mode login --account-name $account -c $audio -f recording.wav -n recording.wav

Uploads that got no event are found within half an hour. To list those from before the deployment, and those that were
given up on (omit --dry-run to transcribe them):

  python infra/redrive.py --account-url $url --audio-container $audio --transcript-container $transcripts --dry-run
END
}

# --- Deletion ---

confirm_delete() {
  local tag answer
  tag=$(azure group show --name "$group" --query 'tags.application' --output tsv) ||
    fail "The group $group cannot be read." 'Ask for a role on it.'
  [ "$tag" = "$TAG" ] || fail "The group $group was not created by this script and may hold other resources." \
    "Delete only those that this command lists: az resource list -g $group --tag application=$TAG --output table"
  resources=$(azure resource list --resource-group "$group" --query '[].name' --output tsv) ||
    fail "The resources in the group $group cannot be listed." 'Run this script again, or ask for a role on the group.'
  printf '%s\n' "$resources" | sed 's/^/  /'
  [ "$sure" = yes ] && return
  [ -t 0 ] || fail 'There is no terminal to ask for confirmation.' 'Add --yes to delete without asking.'
  read -r -p "All of this will be deleted, including recordings and transcripts. Type the group's name to continue: " answer
  [ "$answer" = "$group" ] || fail 'Nothing was deleted, because the name did not match.' 'Run this script again to delete the group.'
}

# Purges the names known from before the deletion, and those that Azure lists. Azure's list lags behind, and not
# everybody may read it.
purge_speech() { # NAME …
  local name listed
  listed=$(deleted_speech) || say 'you may not list deleted Speech resources: only those that were in the group are purged'
  for name in $(printf '%s\n' "$@" "$listed" | sort -u); do
    wait_for 6 10 azure cognitiveservices account purge --location "$location" --resource-group "$group" --name "$name" ||
      fail "The deleted Speech resource $name could not be purged." 'Azure removes it after 48 hours. To purge it now, ask for Cognitive Services Contributor on the subscription.'
    say "purged $name"
  done
}

purge_vaults() { # UNPROTECTED NAME …
  local name listed
  listed=$(deleted_vaults "!$PROTECTED") || say 'you may not list deleted vaults: only those that were in the group are purged'
  for name in $(printf '%s\n' "$@" "$listed" | sort -u); do
    wait_for 6 10 azure keyvault purge --location "$location" --name "$name" ||
      fail "The deleted vault $name could not be purged." 'Azure removes it after seven days. Deploying again before that recovers it.'
    say "purged $name"
  done
}

# Succeeds if the vault is known to be protected from purging.
protected() {
  [ "$(azure keyvault show --resource-group "$group" --name "$1" --query properties.enablePurgeProtection --output tsv | lower)" = true ]
}

delete_all() {
  local name speech='' unprotected='' kept=''
  if [ "$group_exists" = yes ]; then
    confirm_delete
    speech=$(grep '^speech-transcription-' <<<"$resources" || true)
    for name in $(grep '^kv-' <<<"$resources" || true); do
      if protected "$name"; then kept="$kept $name"; else unprotected="$unprotected $name"; fi
    done
    step "Deleting the group $group" '5 to 10 minutes'
    azure group delete --name "$group" --yes || fail 'The group could not be deleted.' 'Check in the portal what is left, and run this script again.'
  elif [ -z "$location" ]; then
    fail "There is no group $group." 'Add --location to purge what Azure keeps of it.'
  fi
  # Otherwise both hold their names, and a deleted F0 counts as the subscription's only one.
  step 'Purging what Azure keeps of it' 'a minute'
  # shellcheck disable=SC2086 # the names are separate words
  purge_speech $speech
  # shellcheck disable=SC2086
  purge_vaults $unprotected
  # shellcheck disable=SC2086
  for name in $(printf '%s\n' $kept "$(deleted_vaults "$PROTECTED" || true)" | sort -u); do
    say "the vault $name is protected from purging for seven days; deploying again recovers it"
  done
}

# --- Main ---

read_arguments "$@"
check_tools
check_group
if [ "$mode" = delete ]; then
  delete_all
  exit
fi
if [ "$mode" = events ]; then
  read_outputs
  deploy_events
  say 'Some events may have been lost in between. The sweep transcribes those uploads within half an hour.'
  exit
fi
check_region
look_for_deleted
if [ "$mode" = what-if ]; then
  [ "$group_exists" = yes ] ||
    fail "There is no group $group yet, so everything in infra/main.bicep would be new." "For details, run az group create -n $group -l $location --tags application=$TAG, then this script again."
  step 'Asking Azure what would change' 'a minute'
  deploy_main what-if || fail 'Azure could not say what would change.' "$(advice)"
  say 'After that, the script would publish the code, deploy infra/events.bicep and transcribe a sample.'
  exit
fi
make_group
count_work
deploy_resources
read_outputs
read_reference
publish_code
deploy_events
check_reference
transcribe_sample
print_next_steps
warn_about_alarms
