// The event subscription: each new recording is told to the app. Deployed after the app is published, because the key in
// the webhook's address is made by the host when it first loads the blob extension, and because the app has to answer
// Event Grid's question whether it wants the events.

@description('The function app.')
param appName string

@description('The storage account\'s topic.')
param systemTopicName string

@description('The storage account.')
param storageAccountName string

@description('The container that is watched.')
param audioContainer string

@description('Where events go that could not be delivered.')
param deadLetterContainer string

@description('The function that takes the events. It is part of the webhook\'s address: the host says 202 to events for a function that it does not know, and drops them.')
param functionName string = 'transcribe'

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource storage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'transcription-uploads'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        // The key is asked for inside Azure Resource Manager; no script, parameter or output has it.
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${functionName}&code=${listKeys('${app.id}/host/default', app.apiVersion).systemKeys.blobs_extension}'
        minimumTlsVersionAllowed: '1.2'
        // One upload that cannot be taken does not hold up others.
        maxEventsPerBatch: 1
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      // With the slash at the end: else `audio` would also mean `audio-old`.
      subjectBeginsWith: '/blobServices/default/containers/${audioContainer}/blobs/'
      advancedFilters: [
        {
          // What completes a blob. Other calls raise the same event before all of it is there.
          operatorType: 'StringIn'
          key: 'data.api'
          values: ['PutBlob', 'PutBlockList', 'CopyBlob', 'FlushWithClose']
        }
      ]
    }
    // As long and as often as Event Grid can: the host may be down or starting.
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: { resourceId: storage.id, blobContainerName: deadLetterContainer }
      }
    }
  }
}
