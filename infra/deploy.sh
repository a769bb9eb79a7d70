#!/usr/bin/env bash
# The whole app into a resource group: resources, code, events, and a recording to see it work. See docs/deploy.md.
# It runs in the bash of macOS too, which is version 3.2.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'END'
infra/deploy.sh --group NAME [--location REGION] [--parameters FILE] [--subscription ID]
  Brings everything up, or up to date: about five minutes the first time. Safe to run again.

  --group NAME         the resource group; made where there is none
  --location REGION    such as westeurope; needed where the group has yet to be made
  --parameters FILE    a .bicepparam file; infra/main.bicepparam where none is named
  --subscription ID    another one than `az account show` shows
  --what-if            only shows what would change
  --events             only subscribes to uploads again: after the system key was changed
  --delete             deletes the group that this script made, and what Azure keeps of it; asks before
  --yes                does not ask

EXISTING_SPEECH_KEY=… in the environment is the key of a Speech resource of your own (see infra/main.bicepparam).
END
}

TAG='speech-transcription'               # on the group and on every resource in it, as in main.bicep
SAMPLE=local/sample.wav                  # English, seven seconds
SAMPLE_BLOB=smoke-test/sample.wav
REFERENCES=config/configreferences/appsettings
# Flex Consumption has no log to be tailed.
WHY='The host says why in the Log Analytics workspace, Logs: union AppTraces, AppExceptions | where TimeGenerated > ago(15m)'
# The functions to wait for, and the runtime to ask for, are written where they are made.
FUNCTIONS=$(sed -n 's/^@app\.function_name("\([^"]*\)")$/\1/p' function_app.py)
PYTHON_VERSION=$(sed -n "s/.*runtime: { name: 'python', version: '\([0-9.]*\)' }.*/\1/p" infra/modules/app.bicep)

group='' location='' parameters=$PWD/infra/main.bicepparam subscription='' mode=deploy sure=no
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# az takes Ctrl-C for itself and fails, as if it were worth another try.
trap 'stopped 130' INT
trap 'stopped 143' TERM

# --- Speaking and waiting ---

step() { printf '\n▸ %s (%s) …\n' "$1" "$2"; }

say() { printf '  %s\n' "$*"; }

# What failed, and what to do. Should an error quote the webhook's address, then without the key in it.
fail() {
  printf '\n✗ %s\n' "$1" >&2
  if [ -s "$work/error" ]; then
    tail -n 25 "$work/error" | sed -e 's/code=[^&" ]*/code=…/g' -e 's/^/  | /' >&2
  fi
  printf '  → %s\n' "$2" >&2
  exit 1
}

stopped() {
  printf '\n✗ Stopped. What Azure has begun goes on; run this script again for the rest.\n' >&2
  exit "$1"
}

# wait_for TRIES SECONDS COMMAND …: until the command succeeds, so many seconds apart.
wait_for() {
  local tries=$1 seconds=$2 try
  shift 2
  for ((try = 1; try <= tries; try++)); do
    if "$@"; then return 0; fi
    if ((try < tries)); then sleep "$seconds"; fi
  done
  return 1
}

# az in the chosen subscription; what it complains of is shown only where it ends the script.
azure() { az "$@" --subscription "$subscription" --only-show-errors 2>"$work/error"; }

lower() { tr -d ' ' | tr '[:upper:]' '[:lower:]'; }

# --- Before ---

read_arguments() {
  while (($#)); do
    case $1 in
      --group | --location | --parameters | --subscription)
        case ${2:---} in --*) fail "$1 needs a value." 'See infra/deploy.sh --help.' ;; esac
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --what-if | --events | --delete)
        [ "$mode" = deploy ] || [ "$mode" = "${1#--}" ] || fail "--$mode and $1 do not go together." 'Say one of them.'
        mode=${1#--}
        ;;
      --yes) sure=yes ;;
      --help | -h) usage && exit 0 ;;
      *) fail "There is no option $1." 'See infra/deploy.sh --help.' ;;
    esac
    shift
  done
  [ -n "$group" ] || fail 'Which resource group?' 'Name one: infra/deploy.sh --group NAME --location REGION'
  case $parameters in
    /*) ;;
    *) parameters=$caller/$parameters ;;
  esac
  [ -f "$parameters" ] || fail "There is no file $parameters." 'Name a .bicepparam file after --parameters.'
  location=$(lower <<<"$location")
}

check_tools() {
  step 'Looking for the tools and the login' 'seconds'
  command -v az >/dev/null || fail 'There is no az.' 'Install the Azure CLI: https://aka.ms/azure-cli'
  if [ "$mode" = deploy ]; then
    command -v func >/dev/null || fail 'There is no func.' 'Install Azure Functions Core Tools 4: https://aka.ms/func'
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
    fail 'The subscription cannot be looked into.' 'Run az login again, or name another one with --subscription.'
  if [ "$exists" != true ]; then
    group_exists=no
    [ "$mode" != events ] || fail "There is no group $group." 'Is the name right, and the subscription?'
    [ "$mode" = delete ] || [ -n "$location" ] ||
      fail "There is no group $group yet." 'Say where to make it: --location westeurope'
    return
  fi
  group_exists=yes
  of_group=$(azure group show --name "$group" --query location --output tsv | lower) ||
    fail "The group $group cannot be read." 'Ask for a role on it: Owner, or Contributor and Role Based Access Control Administrator.'
  if [ -n "$location" ] && [ "$location" != "$of_group" ]; then
    fail "The group $group is in $of_group, not in $location." 'Leave --location out, or name another group.'
  fi
  location=$of_group
}

check_region() {
  local offered
  [ -n "$PYTHON_VERSION" ] || fail 'infra/modules/app.bicep names no version of Python.' 'Has its line "runtime" changed?'
  step "Asking whether $location offers Flex Consumption with Python $PYTHON_VERSION" 'seconds'
  offered=$(azure functionapp list-flexconsumption-locations --query '[].name' --output tsv) ||
    fail 'az cannot list the regions of Flex Consumption.' 'Update the Azure CLI: az upgrade'
  lower <<<"$offered" | grep -qx "$location" ||
    fail "$location has no Flex Consumption." "Take one of: $(lower <<<"$offered" | tr '\n' ' ')"
  offered=$(azure functionapp list-flexconsumption-runtimes --location "$location" --runtime python \
    --query '[].version' --output tsv) || fail 'az cannot list the runtimes of Flex Consumption.' 'Update the Azure CLI: az upgrade'
  grep -qx "$PYTHON_VERSION" <<<"$offered" ||
    fail "$location has no Python $PYTHON_VERSION on Flex Consumption." 'Take another region.'
  # Where az does not say it, Azure will refuse too small a number, and advice() tells what to do.
  LEAST_INSTANCES=$(azure functionapp list-flexconsumption-runtimes --location "$location" --runtime python --output tsv \
    --query "[?version=='$PYTHON_VERSION'].sku.maximumInstanceCount.lowestMaximumInstanceCount | [0]" || true)
  [[ $LEAST_INSTANCES =~ ^[0-9]+$ ]] || LEAST_INSTANCES=1
  export LEAST_INSTANCES # main.bicepparam reads it
}

# What Azure keeps of this group after it was deleted: one name a line. They fail where it may not be asked: this needs
# a role on the subscription.
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
  step 'Looking for deleted resources that hold a name' 'seconds'
  RESTORE_SPEECH=false RECOVER_VAULT=false
  speech=$(deleted_speech) || say 'you may not list deleted Speech resources; should one hold the name, Azure will say so'
  if [ -n "$speech" ]; then RESTORE_SPEECH=true && say 'the deleted Speech resource is taken back'; fi
  vaults=$(deleted_vaults) || say 'you may not list deleted vaults; should one hold the name, Azure will say so'
  if [ -n "$vaults" ]; then RECOVER_VAULT=true && say 'the deleted vault is taken back'; fi
  export RESTORE_SPEECH RECOVER_VAULT # main.bicepparam reads them
}

# --- Deploying ---

main_deployment() { # create or what-if, and options
  azure deployment group "$@" --resource-group "$group" --name transcription-main \
    --template-file infra/main.bicep --parameters "$parameters"
}

make_group() {
  [ "$group_exists" = yes ] && return
  step "Making the group $group in $location" 'seconds'
  azure group create --name "$group" --location "$location" --tags "application=$TAG" --output none ||
    fail "The group $group could not be made." 'Ask for the role Contributor on the subscription, or for a group made by somebody else.'
}

deploy_resources() {
  step 'Deploying the resources' '2 to 4 minutes'
  main_deployment create --output none || fail 'The resources could not be deployed.' "$(advice)"
}

# The recipients of uploads and of code; each a name, none a secret.
read_outputs() {
  app=$(output appName)
  account=$(output storageAccountName)
  url=$(output blobUrl)
  topic=$(output systemTopicName)
  audio=$(output audioContainer)
  transcripts=$(output transcriptContainer)
  dead_letters=$(output deadLetterContainer)
  say "function app $app, storage account $account"
}

output() {
  local value
  value=$(azure deployment group show --resource-group "$group" --name transcription-main \
    --query "properties.outputs.$1.value" --output tsv) || fail 'The outputs cannot be read.' 'Run this script again.'
  [ -n "$value" ] || fail "The last deployment of $group has no output $1." 'It failed, or was of another version: run infra/deploy.sh, without --events.'
  printf '%s' "$value"
}

# What the errors of the first deployment mean, where Azure does not say.
advice() {
  local text='Put right what is said above, and run this script again.'
  case $(cat "$work/error") in
    *FlagMustBeSetForRestore*) text='A deleted Speech resource holds the name: RESTORE_SPEECH is set for those this script can see. Purge it: az cognitiveservices account list-deleted, then … account purge' ;;
    *CanNotCreateMultipleFreeAccounts*) text='The subscription has its one F0 already; a deleted one counts for 48 hours. Purge it, or set speechSku = '\''S0'\''.' ;;
    *aximumInstanceCount* | *"aximum instance count"*) text='This region wants more instances: set maximumInstances = 40 in the parameter file. F0, whose quota is one request, has to go to another region.' ;;
    *ystem*opic*already* | *"nly one system topic"*) text='Something else made the account'\''s event topic: name it as existingSystemTopic in the parameter file.' ;;
    *roleAssignments/write*) text='Roles have to be given: ask for Owner of the group, or for Contributor and Role Based Access Control Administrator.' ;;
    *VaultAlreadyExists*) text='A deleted vault holds the name: az keyvault list-deleted, then az keyvault recover or purge.' ;;
    *DeploymentActive*) text="An earlier run of this deployment goes on in Azure: wait for it, or az deployment group cancel -g $group -n transcription-main" ;;
    *BCP*) text='Is that complaint about the language? Then the Bicep in az is too old: az bicep upgrade' ;;
  esac
  printf '%s' "$text"
}

# What is published lies in a folder of its own: func's reading of .funcignore is not Git's (azure-functions-core-tools
# issues 2701 and 4240), and what somebody left beside the code must not leave the house.
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
    grep -qix "$app/$name" <<<"$listed" || return 1
  done
}

# func also ends with 0 where nothing works, and a new app refuses it for minutes: what counts is what is listed after.
publish_code() {
  [ -n "$FUNCTIONS" ] || fail 'function_app.py names no function.' 'Has its decorator @app.function_name("…") changed?'
  step 'Publishing the code' '2 to 4 minutes, up to 15 for a new app'
  pack
  for _ in 1 2 3; do
    wait_for 5 30 publish || {
      cp "$work/func.log" "$work/error"
      fail 'func could not publish.' 'Wait ten minutes, for roles and names to be known everywhere, and run this script again.'
    }
    if wait_for 12 10 functions_listed; then
      say "functions: $(tr '\n' ' ' <<<"$FUNCTIONS")"
      return
    fi
    say 'published, but the functions are not listed: again'
  done
  cat "$work/func.log" >>"$work/error"
  fail 'The code is there, but the host does not list its functions.' "$WHY"
}

# Its length is asked for, so that the key stays where it is.
system_key_there() {
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
  wait_for 30 10 system_key_there ||
    fail 'The host has not made its key blobs_extension.' "Is the app running? az functionapp restart -g $group -n $app, then run this script again. $WHY"
  step 'Subscribing to uploads' 'a minute; up to 5 while the app starts'
  wait_for 5 30 subscribe ||
    fail 'Event Grid did not accept the subscription.' "The app has to answer its question: run this script again. $WHY"
}

reference_resolved() {
  local site="/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.Web/sites/$app"
  az rest --method post --url "$site/$REFERENCES/refresh?api-version=2022-03-01" --output none 2>"$work/error" || return 1
  reference=$(az rest --method get --url "$site/$REFERENCES?api-version=2022-03-01" --output tsv \
    --query "value[?name=='AZURE_SPEECH_KEY'].properties.status | [0]" 2>"$work/error") || return 1
  [ "$reference" = Resolved ]
}

# Instances keep the key that they started with, and publishing replaces them: so the vault is read before.
read_reference() {
  step 'Having the app read the Speech key from the vault' 'a minute'
  reference=unknown
  wait_for 3 20 reference_resolved || say "not yet (${reference:-unknown}): looked at again after publishing"
}

check_reference() {
  [ "$reference" = Resolved ] && return
  step 'Waiting until the app can read the Speech key' 'a minute; up to 10 while roles become known'
  wait_for 20 30 reference_resolved ||
    fail "The app cannot read the Speech key: ${reference:-unknown}." 'AccessToKeyVaultDenied: the role is not known yet, run this script again. Else see docs/deploy.md.'
  azure functionapp restart --resource-group "$group" --name "$app" ||
    fail 'The app could not be restarted, and has no Speech key yet.' "Restart it: az functionapp restart -g $group -n $app"
}

# --- Trying ---

upload_sample() {
  etag=$(azure storage blob upload --auth-mode login --account-name "$account" --container-name "$audio" \
    --name "$SAMPLE_BLOB" --file "$SAMPLE" --metadata language=en-US --overwrite --no-progress \
    --query etag --output tsv) || return 1
  etag=${etag//\"/}
}

# The document of this very upload, not that of an earlier run.
transcribed() {
  local seen
  seen=$(azure storage blob show --auth-mode login --account-name "$account" --container-name "$transcripts" \
    --name "$SAMPLE_BLOB.json" --query "join(' ', [metadata.source_etag, metadata.status])" --output tsv) || return 1
  status=${seen#* }
  [ "${seen%% *}" = "$etag" ]
}

try_it() {
  step 'Uploading a spoken sample' 'a minute; up to 10 while your role becomes known'
  wait_for 20 30 upload_sample ||
    fail 'The sample could not be uploaded.' 'Roles can take half an hour: run this script again later. Else userObjectId in the parameter file is not you.'
  step 'Waiting for its transcript' 'a minute; up to 6 for a cold start'
  # A new subscription may miss the first events.
  wait_for 24 5 transcribed || { say 'uploading it again' && upload_sample && wait_for 48 5 transcribed; } ||
    fail 'There is no transcript after six minutes.' "See docs/deploy.md, \"When something is wrong\". The sample is $audio/$SAMPLE_BLOB."
  azure storage blob download --auth-mode login --account-name "$account" --container-name "$transcripts" \
    --name "$SAMPLE_BLOB.json" --file "$work/transcript.json" --overwrite --no-progress --output none ||
    fail 'The transcript is there but cannot be read.' 'Run this script again.'
  cat "$work/transcript.json"
  [ "$status" = Succeeded ] ||
    fail "The sample ended as $status." 'The document above says why; README.md, "When it fails", says what to do.'
}

say_how_to_go_on() {
  cat <<END

✓ Ready. Upload recordings to the container $audio of $account; transcripts appear in $transcripts:

  az storage blob upload --auth-mode login --account-name $account -c $audio -f recording.wav -n recording.wav

Which uploads have no transcript, after an outage for example (without --dry-run they are done again):

  python infra/redrive.py --account-url $url --audio-container $audio --transcript-container $transcripts --dry-run
END
}

# --- Taking away ---

confirm_delete() {
  local tag answer
  tag=$(azure group show --name "$group" --query 'tags.application' --output tsv) ||
    fail "The group $group cannot be read." 'Ask for a role on it.'
  [ "$tag" = "$TAG" ] || fail "The group $group was not made by this script and may hold other things." \
    "Delete what is listed by: az resource list -g $group --tag application=$TAG --output table"
  resources=$(azure resource list --resource-group "$group" --query '[].name' --output tsv) ||
    fail "What is in the group $group cannot be listed." 'Run this script again, or ask for a role on the group.'
  printf '%s\n' "$resources" | sed 's/^/  /'
  [ "$sure" = yes ] && return
  [ -t 0 ] || fail 'Nobody can be asked.' 'Add --yes to delete without asking.'
  read -r -p "All of this, recordings and transcripts too, will be gone. The group's name to go on: " answer
  [ "$answer" = "$group" ] || fail 'Nothing was deleted.' 'Run it again where that was a mistake.'
}

# Names of before the deletion, and those that Azure lists by now: the list lags behind, and not everybody may see it.
purge_speech() { # NAME …
  local name listed
  listed=$(deleted_speech) || say 'you may not list deleted Speech resources: only those that were in the group are purged'
  for name in $(printf '%s\n' "$@" "$listed" | sort -u); do
    wait_for 6 10 azure cognitiveservices account purge --location "$location" --resource-group "$group" --name "$name" ||
      fail "The deleted Speech resource $name could not be purged." 'It goes by itself after 48 hours. Ask for Cognitive Services Contributor on the subscription to purge it.'
    say "purged $name"
  done
}

purge_vaults() { # UNPROTECTED NAME …
  local name listed
  listed=$(deleted_vaults "!$PROTECTED") || say 'you may not list deleted vaults: only those that were in the group are purged'
  for name in $(printf '%s\n' "$@" "$listed" | sort -u); do
    wait_for 6 10 azure keyvault purge --location "$location" --name "$name" ||
      fail "The deleted vault $name could not be purged." 'It goes by itself after seven days; deploying again takes it back.'
    say "purged $name"
  done
}

# Whether nobody may purge it, as far as can be asked.
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
    azure group delete --name "$group" --yes || fail 'The group could not be deleted.' 'See what is left in the portal, and run this again.'
  elif [ -z "$location" ]; then
    fail "There is no group $group." 'Add --location to purge what Azure keeps of it.'
  fi
  # Else both hold their names, and an F0 the subscription's only free place.
  step 'Purging what Azure keeps of it' 'a minute'
  # shellcheck disable=SC2086 # words
  purge_speech $speech
  # shellcheck disable=SC2086
  purge_vaults $unprotected
  # shellcheck disable=SC2086
  for name in $(printf '%s\n' $kept "$(deleted_vaults "$PROTECTED" || true)" | sort -u); do
    say "the vault $name is protected from purging for seven days; deploying again takes it back"
  done
}

# --- What is done, in order ---

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
  say 'Events that fell into the gap are made up for by infra/redrive.py: see docs/deploy.md.'
  exit
fi
check_region
look_for_deleted
if [ "$mode" = what-if ]; then
  [ "$group_exists" = yes ] ||
    fail "There is no group $group yet, so all of infra/main.bicep would be new." "For the details: az group create -n $group -l $location --tags application=$TAG, then again."
  step 'Asking what would change' 'a minute'
  main_deployment what-if || fail 'Azure does not say what would change.' "$(advice)"
  say 'Then the code would be published, infra/events.bicep deployed and a sample transcribed.'
  exit
fi
make_group
deploy_resources
read_outputs
read_reference
publish_code
deploy_events
check_reference
try_it
say_how_to_go_on
