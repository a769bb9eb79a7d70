// One account: uploads, transcripts, the app's package, the host's own state, events that nobody took.

@description('The region.')
param location string
@description('On every resource.')
param tags { *: string }
@description('The account\'s name, unique in the world.')
param name string
@description('All containers, the watched one among them.')
param containers string[]
@description('The watched one.')
param audioContainer string
@description('0 keeps uploads.')
param deleteAudioAfterDays int

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  // Three copies in one region. Uploads that must outlive a region are kept elsewhere too.
  sku: { name: 'Standard_LRS' }
  properties: {
    // Identities only: no key and no account SAS that could leak.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // Uploads come from anywhere, and an app without a virtual network from changing addresses.
    publicNetworkAccess: 'Enabled'
    networkAcls: { defaultAction: 'Allow', bypass: 'AzureServices' }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource all 'containers' = [
      for container in containers: {
        name: container
        properties: { publicAccess: 'None' }
      }
    ]
  }

  resource queues 'queueServices' = {
    name: 'default'

    // The host would make it with the first poison message, but a function listens to it from the start.
    resource poison 'queues' = {
      name: 'webjobs-blobtrigger-poison'
    }
  }

  resource lifecycle 'managementPolicies' = if (deleteAudioAfterDays > 0) {
    name: 'default'
    dependsOn: [blobs]
    properties: {
      policy: {
        rules: [
          {
            name: 'delete-audio'
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${audioContainer}/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: deleteAudioAfterDays } } }
            }
          }
        ]
      }
    }
  }
}

@description('For the topic.')
output id string = account.id
@description('The address of its blobs.')
output blobUrl string = account.properties.primaryEndpoints.blob
