// Everything but the event subscription, which needs a key that exists only once the app is published: events.bicep.
// Deploying it again changes nothing that has not changed.

targetScope = 'resourceGroup'

import { Settings, defaults } from 'settings.bicep'

@description('App settings that differ from their defaults, such as { SPEECH_LANGUAGE: \'fr-FR\' }.')
param settings Settings = {}

// --- Speech ---

@description('F0 is free: one request at a time, five hours of audio a month, one per subscription. Empty: S0; but that of an existing resource has to be said.')
@allowed(['', 'F0', 'S0'])
param speechSku string = ''

@description('The quota of concurrent requests that the Speech resource has: 100 for S0 until a support request raised it. For F0 it is 1, whatever is said here.')
@minValue(1)
@maxValue(10000)
param speechConcurrentRequests int = 100

@description('Which of the resource\'s two keys the app uses. Rotation goes from one to the other.')
@allowed(['key1', 'key2'])
param speechKey string = 'key1'

@description('The region of a Speech resource that exists already; none is made then. speechSku has to name its SKU, since the quota depends on it.')
param existingSpeechRegion string = ''

@description('The key of that resource.')
@secure()
param existingSpeechKey string = ''

@description('Takes back the Speech resource that was deleted less than 48 hours ago and still holds the name. deploy.sh finds out.')
param restoreSpeech bool = false

// --- The app ---

@description('Memory of an instance. 512 are too few for the sixteen recordings that host.json lets it work on at once.')
@allowed([2048, 4096])
param instanceMemoryMB int = 2048

@description('The most instances; fewer where the Speech quota is smaller. What the quota allows is shared out among them: 12 leave each the app\'s default of 8 requests at once.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 12

@description('The smallest number that the region takes as the most instances: 40 in some. deploy.sh asks.')
@minValue(1)
@maxValue(1000)
param leastInstances int = 1

// --- Data ---

@description('Uploads are deleted this many days after they were last written; 0 keeps them.')
@minValue(0)
@maxValue(3650)
param deleteAudioAfterDays int = 0

@description('Who may upload recordings and read transcripts: whoever deploys, since even the Owner of a subscription may not. Empty: nobody.')
param userObjectId string = deployer().objectId

@description('Nobody can purge the deleted vault before seven days are over. Cannot be switched off again.')
param vaultPurgeProtection bool = true

@description('Takes back the deleted vault that still holds the name. deploy.sh finds out.')
param recoverVault bool = false

@description('A storage account can have one Event Grid system topic. Where something else, such as Defender for Storage, made it already, its name; it has to be in this resource group and have a system-assigned identity.')
param existingSystemTopic string = ''

// --- Alerts ---

@description('Where alerts are sent. Empty: they are seen in the portal only.')
param alertEmail string = ''

@description('An alert tells when more hours of audio than this were sent to Speech within a day. An hour costs about 1 USD on S0.')
@minValue(1)
param alertAudioHoursPerDay int = 50

// The region of everything, which has to offer Flex Consumption with Python 3.13, and Speech: deploy.sh asks. No parameter,
// since a group holds one deployment.
#disable-next-line no-loc-expr-outside-params
var location = resourceGroup().location

// The location is part of it: a deleted vault or Speech resource holds its name, and cannot be taken back elsewhere.
var suffix = uniqueString(resourceGroup().id, location)

// Names are put together here and not handed on from module to module, so that what-if knows them ahead.
var names = {
  identity: 'id-transcription-${suffix}'
  storage: 'st${suffix}'
  workspace: 'log-transcription-${suffix}'
  insights: 'appi-transcription-${suffix}'
  speech: 'speech-transcription-${suffix}'
  vault: 'kv-${suffix}'
  plan: 'plan-transcription-${suffix}'
  app: 'func-transcription-${suffix}'
  topic: empty(existingSystemTopic) ? 'evgt-transcription-${suffix}' : existingSystemTopic
}
var packageContainer = 'app-package'
var deadLetterContainerName = 'dead-letters'

// Marks what belongs together, so that a shared resource group can be searched for it.
var tags = { application: 'speech-transcription' }

var chosen = union(defaults, settings)

var ownContainers = [packageContainer, deadLetterContainerName]
var clash = contains([chosen.TRANSCRIPT_CONTAINER, ...ownContainers], chosen.AUDIO_CONTAINER) || contains(ownContainers, chosen.TRANSCRIPT_CONTAINER)
var containers = !clash
  ? [chosen.AUDIO_CONTAINER, chosen.TRANSCRIPT_CONTAINER, ...ownContainers]
  : fail('AUDIO_CONTAINER and TRANSCRIPT_CONTAINER each need a container of its own, other than ${packageContainer} and ${deadLetterContainerName}.')

// Instances × requests in flight never exceed the quota: no more instances than it has requests, and each gets its
// share, rounded down. Only the blob trigger's instances call Speech; the other functions have instances of their own.
var sku = speechSku == 'F0'
  ? 'F0'
  : (speechSku == 'S0' || empty(existingSpeechRegion) ? 'S0' : fail('existingSpeechRegion is set: name the SKU of that resource as speechSku, F0 or S0.'))
var quota = sku == 'F0' ? 1 : speechConcurrentRequests
var instances = quota < leastInstances
  ? fail('The region takes no fewer than ${leastInstances} instances, and the Speech quota is ${quota}: raise speechConcurrentRequests if the resource has more, or take another region. F0 always has 1.')
  : min(max(maximumInstances, leastInstances), quota)
var requestsPerInstance = quota / instances

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
    deleteAudioAfterDays: deleteAudioAfterDays
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    location: location
    tags: tags
    workspaceName: names.workspace
    insightsName: names.insights
  }
}

module speech 'modules/speech.bicep' = {
  params: {
    location: location
    tags: tags
    name: names.speech
    sku: sku
    keyName: speechKey
    existingRegion: existingSpeechRegion
    existingKey: existingSpeechKey
    restore: restoreSpeech
    vaultName: names.vault
    vaultPurgeProtection: vaultPurgeProtection
    recoverVault: recoverVault
  }
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
    // Assignments are named after their principal, which exists only once it is made: what-if cannot show those of the
    // first deployment. See the module for what this is good for.
    #disable-next-line what-if-short-circuiting
    appPrincipalId: identity.properties.principalId
    #disable-next-line what-if-short-circuiting
    topicPrincipalId: topic.outputs.principalId
  }
  // storage and monitoring come before topic.
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
    maximumInstanceCount: instances
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    // Of two values union takes the later, so that nothing chosen lifts the cap.
    settings: union(chosen, {
      AZURE_SPEECH_KEY: speech.outputs.keyReference
      AZURE_SPEECH_REGION: speech.outputs.region
      BLOB_TRIGGER_SOURCE: 'EventGrid'
      SPEECH_MAX_CONCURRENT_REQUESTS: string(requestsPerInstance)
    })
  }
  // The host wants its storage at the first start, and the platform the secret.
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
  }
}

// For deploy.sh and events.bicep. None is a secret.

@description('The function app.')
output appName string = names.app

@description('The storage account of uploads and transcripts.')
output storageAccountName string = names.storage

@description('Its blob service, for infra/redrive.py.')
output blobUrl string = storage.outputs.blobUrl

@description('The storage account\'s Event Grid topic.')
output systemTopicName string = names.topic

@description('Where recordings are uploaded to.')
output audioContainer string = chosen.AUDIO_CONTAINER

@description('Where transcripts appear.')
output transcriptContainer string = chosen.TRANSCRIPT_CONTAINER

@description('Where events go that could not be delivered.')
output deadLetterContainer string = deadLetterContainerName
