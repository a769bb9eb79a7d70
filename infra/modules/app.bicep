// The function app on Flex Consumption.

@description('The region.')
param location string
@description('On every resource.')
param tags { *: string }
@description('The plan\'s name.')
param planName string
@description('The app\'s name, unique in the world.')
param appName string
@description('The app\'s identity.')
param identityName string
@description('Uploads, transcripts and the host\'s own state.')
param storageAccountName string
@description('Where `func` publishes to.')
param packageContainer string
@description('Of one instance.')
param instanceMemoryMB int
@description('Of the functions that the blob trigger starts, and of each other kind.')
param maximumInstanceCount int
@description('Where telemetry goes.')
param insightsConnectionString string
@description('The settings of the README\'s table.')
param settings { *: string }

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource storage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

var endpoints = storage.properties.primaryEndpoints

// Without keys the host finds the account by its name and by each service's address: the addresses alone may fail at
// start (azure-functions-host issue 11787). A user-assigned identity needs both the credential and the client id.
var hostSettings = {
  AzureWebJobsStorage__accountName: storage.name
  AzureWebJobsStorage__blobServiceUri: endpoints.blob
  AzureWebJobsStorage__queueServiceUri: endpoints.queue
  AzureWebJobsStorage__tableServiceUri: endpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identity.properties.clientId}'
}

// The trigger keeps its work in queues: with the blob service alone a poison message is refused with 405
// (azure-functions-host issue 8019).
var triggerSettings = {
  AudioStorage__blobServiceUri: endpoints.blob
  AudioStorage__queueServiceUri: endpoints.queue
  AudioStorage__credential: 'managedidentity'
  AudioStorage__clientId: identity.properties.clientId
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  // Linux.
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Else references are read with the system-assigned identity, which the app has not.
    keyVaultReferenceIdentity: identity.id
    // Event Grid calls the webhook from outside.
    publicNetworkAccess: 'Enabled'
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${endpoints.blob}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      // Nobody checks this version before the host fails to start; deploy.sh asks whether the region has it.
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // Nothing runs, and nothing is paid for, while nobody uploads.
        alwaysReady: []
      }
    }
    // Nothing else: Flex Consumption refuses ftpsState, linuxFxVersion, alwaysOn and their like (error 51021).
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
  }
}

// As a child, because the whole set is replaced: a setting left in the portal does not outlive the next deployment.
// FUNCTIONS_WORKER_RUNTIME and its like are absent: Flex Consumption takes them from functionAppConfig only.
resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, hostSettings, triggerSettings)
}

// `func` publishes with the user's token.
resource noPublishingPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}
