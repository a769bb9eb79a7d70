// The storage account: uploads, transcripts, progress, the app's package, the host's own state, and undelivered events.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The account\'s name, globally unique.')
param name string
@description('All containers, including the one for uploads.')
param containers string[]
@description('The container of uploads.')
param audioContainer string
@description('The container for the progress of recordings.')
param workContainer string
@description('Delete uploads after this many days. 0 keeps them.')
param deleteAudioAfterDays int
@description('The container for events that could not be delivered.')
param deadLetterContainer string
@description('Delete those events after this many days.')
param deleteDeadLettersAfterDays int
@description('Keep deleted blobs and containers for this many days. 0 keeps none.')
param keepDeletedDays int
@description('Allow access only through private endpoints.')
param isPrivate bool

// The host creates a queue with its first message, but functions listen to these from the start.
var queueNames = ['webjobs-blobtrigger-poison', 'transcription-again', 'transcription-again-poison']

// The app deletes the progress once the document is written. What is left belongs to uploads that were deleted, replaced
// or given up on: the others get an attempt a day or more, which writes to it. Append blobs can only be deleted, not
// moved to a cheaper tier.
var progressRule = {
  name: 'delete-progress'
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['appendBlob'], prefixMatch: ['${workContainer}/progress/'] }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 14 } } }
  }
}

var audioRule = {
  name: 'delete-audio'
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob'], prefixMatch: ['${audioContainer}/'] }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: deleteAudioAfterDays } } }
  }
}

var deadLetterRule = {
  name: 'delete-dead-letters'
  type: 'Lifecycle'
  definition: {
    filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: ['${deadLetterContainer}/'] }
    actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: deleteDeadLettersAfterDays } } }
  }
}

// `days` must be absent if deleted blobs are not kept.
var keepDeleted = keepDeletedDays > 0 ? { enabled: true, days: keepDeletedDays } : { enabled: false }

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  // Three copies in one region. To survive the loss of a region, keep a copy of the uploads elsewhere.
  sku: { name: 'Standard_LRS' }
  properties: {
    // Only identities have access: there is no key or account SAS that could leak.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // Without a private network, uploads come from anywhere, and the app has changing addresses. The bypass lets Event
    // Grid store dead letters in any case; it covers only a topic's system-assigned identity.
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isPrivate ? 'Deny' : 'Allow', bypass: 'AzureServices' }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    // This keeps deleted progress and the host's own blobs too; they are small.
    properties: { deleteRetentionPolicy: keepDeleted, containerDeleteRetentionPolicy: keepDeleted }

    resource all 'containers' = [
      for container in containers: {
        name: container
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource all 'queues' = [
      for queue in queueNames: {
        name: queue
      }
    ]
  }

  resource lifecycle 'managementPolicies' = {
    name: 'default'
    dependsOn: [blobs]
    properties: {
      policy: { rules: concat([progressRule, deadLetterRule], deleteAudioAfterDays > 0 ? [audioRule] : []) }
    }
  }
}

@description('The account\'s ID, for the topic.')
output id string = account.id
@description('The address of the blob service.')
output blobUrl string = account.properties.primaryEndpoints.blob
