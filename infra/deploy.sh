#!/usr/bin/env bash
# The whole app into a resource group: resources, code, events, and a recording to see it work. See docs/deploy.md.
# It runs in the bash of macOS too, which is version 3.2.
set -euo pipefail
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
  --delete             deletes the group that this script made, and what Azure keeps of it; asks before
  --yes                does not ask

EXISTING_SPEECH_KEY=… in the environment is the key of a Speech resource of your own (see infra/main.bicepparam).
END
}

TAG=speech-transcription                 # on the group and on every resource in it, as in main.bicep
SAMPLE=local/sample.wav                  # English, twelve seconds
SAMPLE_BLOB=smoke-test/sample.wav
REFERENCES=config/configreferences/appsettings
# The functions to wait for, and the runtime to ask for, are written where they are made.
FUNCTIONS=$(sed -n 's/^@app\.function_name("\([^"]*\)")$/\1/p' function_app.py)
PYTHON_VERSION=$(sed -n "s/.*runtime: { name: 'python', version: '\([0-9.]*\)' }.*/\1/p" infra/modules/app.bicep)

group='' location='' parameters=infra/main.bicepparam subscription='' mode=deploy sure=no
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

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
        [ $# -gt 1 ] || fail "$1 needs a value." 'See infra/deploy.sh --help.'
        printf -v "${1#--}" '%s' "$2"
        shift
        ;;
      --what-if | --delete) mode=${1#--} ;;
      --yes) sure=yes ;;
      --help | -h) usage && exit 0 ;;
      *) fail "There is no option $1." 'See infra/deploy.sh --help.' ;;
    esac
    shift
  done
  [ -n "$group" ] || fail 'Which resource group?' 'Name one: infra/deploy.sh --group NAME --location REGION'
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

# What Azure keeps of this group after it was deleted: one name a line. Nothing where it may not be asked: this needs a
# role on the subscription.
deleted_speech() {
  azure cognitiveservices account list-deleted --query '[].id' --output tsv |
    grep -iF "/resourceGroups/$group/" | grep -iF "/locations/$location/" | sed -n 's|.*/\(speech-transcription-[^/]*\)$|\1|p' || true
}

deleted_vaults() { # [--unprotected]
  local unprotected=''
  [ $# = 0 ] || unprotected=" && !(properties.purgeProtectionEnabled || \`false\`)"
  azure keyvault list-deleted --resource-type vault --output tsv \
    --query "[?properties.location=='$location' && properties.tags.application=='$TAG'$unprotected].properties.vaultId" |
    grep -iF "/resourceGroups/$group/" | sed 's|.*/||' || true
}

look_for_deleted() {
  step 'Looking for deleted resources that hold a name' 'seconds'
  RESTORE_SPEECH=false RECOVER_VAULT=false
  if [ -n "$(deleted_speech)" ]; then RESTORE_SPEECH=true && say 'the deleted Speech resource is taken back'; fi
  if [ -n "$(deleted_vaults)" ]; then RECOVER_VAULT=true && say 'the deleted vault is taken back'; fi
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
  # The recipients of uploads and of code; each a name, none a secret.
  app=$(output appName)
  account=$(output storageAccountName)
  topic=$(output systemTopicName)
  audio=$(output audioContainer)
  transcripts=$(output transcriptContainer)
  dead_letters=$(output deadLetterContainer)
  say "function app $app, storage account $account"
}

output() {
  azure deployment group show --resource-group "$group" --name transcription-main \
    --query "properties.outputs.$1.value" --output tsv || fail 'The outputs cannot be read.' 'Run this script again.'
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
    *BCP*) text='Is that complaint about the language? Then the Bicep in az is too old: az bicep upgrade' ;;
  esac
  printf '%s' "$text"
}

publish() {
  func azure functionapp publish "$app" --python --build remote --subscription "$subscription" >"$work/error" 2>&1
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
  for _ in 1 2 3; do
    wait_for 5 30 publish ||
      fail 'func could not publish.' 'Wait ten minutes, for roles and names to be known everywhere, and run this script again.'
    if wait_for 12 10 functions_listed; then
      say "functions: $(tr '\n' ' ' <<<"$FUNCTIONS")"
      return
    fi
    say 'published, but the functions are not listed: again'
  done
  fail 'The code is there, but the host does not list its functions.' \
    "See why: az webapp log tail -g $group -n $app, or the app's log stream in the portal."
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
    fail 'The host has not made its key blobs_extension.' "Is the app running? az functionapp restart -g $group -n $app, then run this script again."
  step 'Subscribing to uploads' 'a minute; up to 5 while the app starts'
  wait_for 5 30 subscribe ||
    fail 'Event Grid did not accept the subscription.' 'The app has to answer its question: see the app'\''s log stream, and run this script again.'
}

reference_resolved() {
  local site="/subscriptions/$subscription/resourceGroups/$group/providers/Microsoft.Web/sites/$app"
  az rest --method post --url "$site/$REFERENCES/refresh?api-version=2022-03-01" --output none 2>"$work/error" || return 1
  reference=$(az rest --method get --url "$site/$REFERENCES?api-version=2022-03-01" --output tsv \
    --query "value[?name=='AZURE_SPEECH_KEY'].properties.status | [0]" 2>"$work/error") || return 1
  [ "$reference" = Resolved ]
}

check_reference() {
  step 'Reading the Speech key from the vault' 'a minute; up to 10 while roles become known'
  reference=unknown
  wait_for 20 30 reference_resolved ||
    fail "The app cannot read the Speech key: $reference." 'AccessToKeyVaultDenied: the role is not known yet, run this script again. Else see docs/deploy.md.'
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
  step 'Waiting for its transcript' 'a minute; up to 5 for a cold start'
  wait_for 60 5 transcribed ||
    fail 'There is no transcript after five minutes.' "See docs/deploy.md, \"Nothing happens\". The sample is $audio/$SAMPLE_BLOB."
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
END
}

# --- Taking away ---

confirm_delete() {
  local tag answer
  tag=$(azure group show --name "$group" --query 'tags.application' --output tsv) ||
    fail "The group $group cannot be read." 'Ask for a role on it.'
  [ "$tag" = "$TAG" ] || fail "The group $group was not made by this script and may hold other things." \
    "Delete what is listed by: az resource list -g $group --tag application=$TAG --output table"
  azure resource list --resource-group "$group" --query '[].name' --output tsv | sed 's/^/  /'
  [ "$sure" = yes ] && return
  [ -t 0 ] || fail 'Nobody can be asked.' 'Add --yes to delete without asking.'
  read -r -p "All of this, recordings and transcripts too, will be gone. The group's name to go on: " answer
  [ "$answer" = "$group" ] || fail 'Nothing was deleted.' 'Run it again where that was a mistake.'
}

delete_all() {
  local name
  if [ "$group_exists" = yes ]; then
    confirm_delete
    step "Deleting the group $group" '5 to 10 minutes'
    azure group delete --name "$group" --yes || fail 'The group could not be deleted.' 'See what is left in the portal, and run this again.'
  elif [ -z "$location" ]; then
    fail "There is no group $group." 'Add --location to purge what Azure keeps of it.'
  fi
  # Else both hold their names, and an F0 the subscription's only free place.
  step 'Purging what Azure keeps of it' 'a minute'
  for name in $(deleted_speech); do
    azure cognitiveservices account purge --location "$location" --resource-group "$group" --name "$name" ||
      fail "The deleted Speech resource $name could not be purged." 'It goes by itself after 48 hours. Ask for Cognitive Services Contributor on the subscription to purge it.'
    say "purged $name"
  done
  for name in $(deleted_vaults --unprotected); do
    azure keyvault purge --location "$location" --name "$name" ||
      fail "The deleted vault $name could not be purged." 'It goes by itself after seven days; deploying again takes it back.'
    say "purged $name"
  done
  for name in $(deleted_vaults); do
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
publish_code
deploy_events
check_reference
try_it
say_how_to_go_on
