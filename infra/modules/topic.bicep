// The storage account's events: where events.bicep subscribes. An account has one topic for all its subscribers.

@description('The region.')
param location string
@description('On every resource.')
param tags { *: string }
@description('The topic\'s name.')
param name string
@description('Something else made it, in this resource group.')
param exists bool
@description('The account whose events these are.')
param storageAccountId string
@description('Where it is logged why a delivery failed.')
param workspaceId string

resource made 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!exists) {
  name: name
  location: location
  tags: tags
  // Dead letters are written with it.
  identity: { type: 'SystemAssigned' }
  properties: {
    source: storageAccountId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (exists) {
  name: name
}

// The only version with logs and metrics to a workspace; it has been a preview since 2021. Whoever made another topic
// decides what is logged of it.
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

@description('For alerts. The same whoever made it.')
output id string = made.id
@description('The identity that writes dead letters.')
output principalId string = exists ? found!.identity.principalId : made!.identity.principalId
