// The event subscription, which sends each new recording to the app. Deploy it after the code is published, for two
// reasons. The host creates the key in the webhook's address when it first loads the blob extension. And Event Grid
// creates a subscription only after the app has answered its validation request.

@description('The function app.')
param appName string

@description('The storage account\'s topic.')
param systemTopicName string

@description('The storage account.')
param storageAccountName string

@description('The container of uploads.')
param audioContainer string

@description('The container for events that could not be delivered.')
param deadLetterContainer string

@description('The function that receives the events. It is part of the webhook\'s address. The host answers 202 to events for an unknown function, and drops them.')
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
        // Azure Resource Manager looks up the key. No script, parameter or output contains it.
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${functionName}&code=${listKeys('${app.id}/host/default', app.apiVersion).systemKeys.blobs_extension}'
        minimumTlsVersionAllowed: '1.2'
        // One upload that fails must not delay others.
        maxEventsPerBatch: 1
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      // The slash after the name matters: without it, `audio` would also match `audio-old`.
      subjectBeginsWith: '/blobServices/default/containers/${audioContainer}/blobs/'
      advancedFilters: [
        {
          // The calls that complete a blob. Other calls raise the same event while the blob is still incomplete.
          operatorType: 'StringIn'
          key: 'data.api'
          values: ['PutBlob', 'PutBlockList', 'CopyBlob', 'FlushWithClose']
        }
      ]
    }
    // The most that Event Grid allows: the host may be down or starting.
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
