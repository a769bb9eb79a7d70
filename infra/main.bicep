// All resources except the event subscription. That one is in events.bicep, because it needs a key that exists only
// after the code is published. Deploying again changes only what differs.

targetScope = 'resourceGroup'

import { Settings, defaults } from 'settings.bicep'

@description('App settings that differ from their defaults, such as { SPEECH_LANGUAGE: \'fr-FR\' }.')
param settings Settings = {}

// --- Speech ---

@description('F0 is free: one request at a time, five hours of audio a month, one resource per subscription. Not used with existingSpeechRegion.')
@allowed(['F0', 'S0'])
param speechSku string = 'S0'

@description('The one of the resource\'s two keys that the app uses. To rotate keys, switch to the other one.')
@allowed(['key1', 'key2'])
param speechKey string = 'key1'

@description('The region of an existing Speech resource, to use that one instead of creating one.')
param existingSpeechRegion string = ''

@description('The key of the existing Speech resource.')
@secure()
param existingSpeechKey string = ''

@description('Restores the Speech resource that was deleted less than 48 hours ago and still holds the name. deploy.sh sets it.')
param restoreSpeech bool = false

// --- The app ---

@description('The memory of an instance. 512 MB is too little for the sixteen recordings that host.json allows at once.')
@allowed([2048, 4096])
param instanceMemoryMB int = 2048

@description('The maximum number of instances of each function. They share the Speech quota, whatever it is. Some regions refuse fewer than 40; deploy.sh then takes 40.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 12

@description('Instances for new uploads that are kept ready, and paid for while they wait. With at least one, no event meets a host that is still starting. Without, the sweep finds the uploads whose events were lost.')
@minValue(0)
@maxValue(1000)
param alwaysReadyInstances int = 0

@description('Recreate stops all instances at every update. RollingUpdate, a preview, lets them finish their recordings first. A change takes effect with the next update.')
@allowed(['Recreate', 'RollingUpdate'])
param siteUpdateStrategy string = 'Recreate'

// --- Network ---

@description('private: storage, vault and Speech have no public endpoint, and can only be reached from a virtual network. The app keeps its public address, because Event Grid calls it. Not tried on Azure yet.')
@allowed(['public', 'private'])
param network string = 'public'

@description('The addresses of the private network. They must not overlap those of a network that it will be connected to. 128 addresses are needed.')
param networkAddresses string = '10.90.0.0/24'

// --- Data ---

@description('Delete uploads this many days after they were last written. 0 keeps them.')
@minValue(0)
@maxValue(3650)
param deleteAudioAfterDays int = 0

@description('Keep deleted and overwritten blobs, and deleted containers, for this many days, so that they can be restored. Also those that deleteAudioAfterDays deletes. 0 keeps none.')
@minValue(0)
@maxValue(365)
param keepDeletedDays int = 7

@description('Delete undelivered events this many days after they were stored. The sweep has transcribed their uploads long before.')
@minValue(1)
@maxValue(3650)
param deleteDeadLettersAfterDays int = 30

@description('The most log data of a day, in GB. After that nothing more is logged until the next day, and alerts on log lines are blind. 0 means no limit.')
@minValue(0)
@maxValue(4000)
param logGigabytesPerDay int = 1

@description('The user who may upload recordings, read transcripts and run infra/redrive.py. Default: the user who deploys, because even the Owner of a subscription may not do so without a role. Empty: nobody.')
param userObjectId string = deployer().objectId

@description('Keep a deleted vault from being purged for seven days. This cannot be turned off again.')
param vaultPurgeProtection bool = true

@description('Recovers the deleted vault that still holds the name. deploy.sh sets it.')
param recoverVault bool = false

@description('The name of the storage account\'s Event Grid system topic, if something else created it, such as Defender for Storage. An account can have only one. The topic must be in this resource group and have a system-assigned identity.')
param existingSystemTopic string = ''

// --- Alerts ---

@description('The email address for alerts. Empty: alerts appear in the portal only.')
param alertEmail string = ''

@description('Raise an alert if more hours of audio than this were sent to Speech within a day. An hour costs about 1 USD on S0.')
@minValue(1)
param alertAudioHoursPerDay int = 50

@description('Raise an alert if an upload has had no finished document for more than this many hours.')
@minValue(1)
param alertBacklogHours int = 24

// The region of all resources. It must offer Speech, and Flex Consumption with Python 3.13; deploy.sh checks the
// latter. It is no parameter, because a group holds one deployment.
#disable-next-line no-loc-expr-outside-params
var location = resourceGroup().location

// The location is part of the suffix: a deleted vault or Speech resource holds its name, and cannot be recovered in
// another region.
var suffix = uniqueString(resourceGroup().id, location)

// Names are built here, not passed from module to module, so that what-if knows them in advance.
var names = {
  identity: 'id-transcription-${suffix}'
  storage: 'st${suffix}'
  workspace: 'log-transcription-${suffix}'
  insights: 'appi-transcription-${suffix}'
  speech: 'speech-transcription-${suffix}'
  vault: 'kv-${suffix}'
  plan: 'plan-transcription-${suffix}'
  app: 'func-transcription-${suffix}'
  network: 'vnet-transcription-${suffix}'
  topic: empty(existingSystemTopic) ? 'evgt-transcription-${suffix}' : existingSystemTopic
}
var packageContainer = 'app-package'
var deadLetterContainerName = 'dead-letters'

// Marks all resources of this app, so that they can be found in a shared resource group.
var tags = { application: 'speech-transcription' }

var chosen = union(defaults, settings)

var sweeps = toLower(trim(chosen.SWEEP_SCHEDULE)) != 'off'

var isPrivate = network == 'private'

// A token would come from the custom domain, which refuses that unless all networks have access to it.
var authentication = isPrivate && chosen.AZURE_SPEECH_AUTH == 'token' && empty(existingSpeechRegion)
  ? fail('With network = \'private\', AZURE_SPEECH_AUTH must be key.')
  : chosen.AZURE_SPEECH_AUTH

var allContainers = [
  chosen.AUDIO_CONTAINER
  chosen.TRANSCRIPT_CONTAINER
  chosen.WORK_CONTAINER
  packageContainer
  deadLetterContainerName
]
// union() leaves out repeated names.
var containers = length(union(allContainers, [])) == length(allContainers)
  ? allContainers
  : fail('AUDIO_CONTAINER, TRANSCRIPT_CONTAINER and WORK_CONTAINER each need a container of its own, other than ${packageContainer} and ${deadLetterContainerName}.')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.identity
  location: location
  tags: tags
}

module storage 'modules/storage.bicep' = {
  params: {
    location: location
    tags: tags
    name: names.storage
    audioContainer: chosen.AUDIO_CONTAINER
    containers: containers
    workContainer: chosen.WORK_CONTAINER
    deleteAudioAfterDays: deleteAudioAfterDays
    deadLetterContainer: deadLetterContainerName
    deleteDeadLettersAfterDays: deleteDeadLettersAfterDays
    keepDeletedDays: keepDeletedDays
    isPrivate: isPrivate
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceName: names.workspace
    insightsName: names.insights
    gigabytesPerDay: logGigabytesPerDay
  }
}

module speech 'modules/speech.bicep' = {
  params: {
    location: location
    tags: tags
    name: names.speech
    sku: speechSku
    keyName: speechKey
    existingRegion: existingSpeechRegion
    existingKey: existingSpeechKey
    restore: restoreSpeech
    vaultName: names.vault
    vaultPurgeProtection: vaultPurgeProtection
    recoverVault: recoverVault
    isPrivate: isPrivate
  }
}

module privateNetwork 'modules/network.bicep' = if (isPrivate) {
  params: {
    location: location
    tags: tags
    name: names.network
    addresses: networkAddresses
    storageAccountName: names.storage
    vaultName: names.vault
    speechName: empty(existingSpeechRegion) ? names.speech : ''
  }
  dependsOn: [storage, speech]
}

module topic 'modules/topic.bicep' = {
  params: {
    location: location
    tags: tags
    name: names.topic
    exists: !empty(existingSystemTopic)
    storageAccountId: storage.outputs.id
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roles 'modules/roles.bicep' = {
  params: {
    storageAccountName: names.storage
    insightsName: names.insights
    vaultName: names.vault
    userContainers: [chosen.AUDIO_CONTAINER, chosen.TRANSCRIPT_CONTAINER]
    deadLetterContainer: deadLetterContainerName
    userObjectId: userObjectId
    // Role assignments are named after their principal; the module says why. The principal's id is unknown before the
    // first deployment, so what-if cannot show these assignments then.
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.properties.principalId
    #disable-next-line what-if-short-circuiting
    topicPrincipalId: topic.outputs.principalId
  }
  // The topic already depends on storage and monitoring.
  dependsOn: [speech]
}

module app 'modules/app.bicep' = {
  params: {
    location: location
    tags: tags
    planName: names.plan
    appName: names.app
    identityName: names.identity
    storageAccountName: names.storage
    packageContainer: packageContainer
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    siteUpdateStrategy: siteUpdateStrategy
    subnetId: isPrivate ? privateNetwork!.outputs.appSubnetId : ''
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    // union() prefers the later value, so no chosen setting can override these.
    settings: union(chosen, {
      AZURE_SPEECH_KEY: speech.outputs.keyReference
      AZURE_SPEECH_REGION: speech.outputs.region
      AZURE_SPEECH_AUTH: authentication
      AZURE_SPEECH_ENDPOINT: empty(chosen.AZURE_SPEECH_ENDPOINT) ? speech.outputs.endpoint : chosen.AZURE_SPEECH_ENDPOINT
      BLOB_TRIGGER_SOURCE: 'EventGrid'
    })
  }
  // At the first start, the host needs access to its storage, and the platform to the secret. The subnet's ID makes it
  // wait for the whole private network.
  dependsOn: [roles]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceName: names.workspace
    systemTopicId: topic.outputs.id
    email: alertEmail
    audioHoursPerDay: alertAudioHoursPerDay
    backlogHours: alertBacklogHours
    sweeps: sweeps
    // Bicep cannot read a schedule, so one that is not the default may be as rare as once a day.
    sweepSilence: chosen.SWEEP_SCHEDULE == defaults.SWEEP_SCHEDULE ? '1h' : '25h'
  }
}

module workbook 'modules/workbook.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceName: names.workspace
  }
  dependsOn: [monitoring]
}

// For deploy.sh and events.bicep. No output is a secret.

@description('The function app.')
output appName string = names.app

@description('The storage account of uploads and transcripts.')
output storageAccountName string = names.storage

@description('The address of the account\'s blob service, for infra/redrive.py.')
output blobUrl string = storage.outputs.blobUrl

@description('The storage account\'s Event Grid topic.')
output systemTopicName string = names.topic

@description('The container of uploads.')
output audioContainer string = chosen.AUDIO_CONTAINER

@description('The container of transcripts.')
output transcriptContainer string = chosen.TRANSCRIPT_CONTAINER

@description('The container for events that could not be delivered.')
output deadLetterContainer string = deadLetterContainerName

@description('Says yes if the app has the function sweep, which SWEEP_SCHEDULE can turn off.')
output sweeps string = sweeps ? 'yes' : 'no'

@description('public, or private. From outside a private network nobody can upload, not even for a test.')
output network string = network

@description('Says yes if alerts are sent to an email address.')
output alertsReachSomebody string = empty(alertEmail) ? 'no' : 'yes'
