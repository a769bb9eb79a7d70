// The topic of the storage account's events, which events.bicep subscribes to. An account has one topic for all its
// subscribers.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The topic\'s name.')
param name string
@description('Use an existing topic of this resource group.')
param exists bool
@description('The storage account that raises the events.')
param storageAccountId string
@description('The workspace for the log of failed deliveries.')
param workspaceId string

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!exists) {
  name: name
  location: location
  tags: tags
  // Event Grid uses it to write dead letters.
  identity: { type: 'SystemAssigned' }
  properties: {
    source: storageAccountId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (exists) {
  name: name
}

// The only API version that sends logs and metrics to a workspace; it has been a preview since 2021. The owner of an
// existing topic decides what is logged about it.
#disable-next-line use-recent-api-versions
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!exists) {
  scope: made
  name: 'transcription'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The topic\'s ID, for alerts. It is the same for a new and an existing topic.')
output id string = made.id
@description('The identity that writes dead letters.')
output principalId string = exists ? found!.identity.principalId : made!.identity.principalId
