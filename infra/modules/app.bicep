// The function app on Flex Consumption.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The plan\'s name.')
param planName string
@description('The app\'s name, globally unique.')
param appName string
@description('The name of the app\'s identity.')
param identityName string
@description('The account for uploads, transcripts and the host\'s own state.')
param storageAccountName string
@description('The container that `func` publishes to.')
param packageContainer string
@description('The memory of one instance.')
param instanceMemoryMB int
@description('The maximum number of instances of each function.')
param maximumInstanceCount int
@description('Instances for `transcribe` that are kept ready.')
param alwaysReadyInstances int
@description('The way in which an update replaces running instances.')
@allowed(['Recreate', 'RollingUpdate'])
param siteUpdateStrategy string
@description('The subnet for outbound traffic. Empty: the public network.')
param subnetId string
@description('The connection string for telemetry.')
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

// Without keys, the host needs the account's name and each service's address. The addresses alone may fail at start
// (azure-functions-host issue 11787). A user-assigned identity needs both the credential and the client ID.
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

// The trigger keeps its work in queues. With the blob service alone, a poison message is refused with 405
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
  // `reserved` means Linux.
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
    // By default, references are read with the system-assigned identity, which the app does not have.
    keyVaultReferenceIdentity: identity.id
    // Event Grid calls the webhook from the public network.
    publicNetworkAccess: 'Enabled'
    // Flex Consumption sends all outbound traffic through it.
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
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
      // A version that the region lacks only shows when the host fails to start. So deploy.sh checks it first.
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // `blob` is the group of functions with a blob trigger that receives events.
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'blob', instanceCount: alwaysReadyInstances }] : []
      }
      // The type lacks it, but the documentation has it since API version 2024-11-01 (flex-consumption-site-updates).
      #disable-next-line BCP037
      siteUpdateStrategy: { type: siteUpdateStrategy }
    }
    // Do not add ftpsState, linuxFxVersion, alwaysOn or the like: Flex Consumption refuses them (error 51021).
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
  }
}

// A child resource, because it replaces the whole set: a setting made in the portal is gone after the next deployment.
// FUNCTIONS_WORKER_RUNTIME and the like are absent: Flex Consumption accepts them only in functionAppConfig.
resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, hostSettings, triggerSettings)
}

// `func` publishes with the user's token, so no password is needed. It waits for the settings, because App Service
// refuses some changes of an app while another is in progress (409).
resource noPublishingPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  // Azure refuses it without a location in many places, though the type has none (bicep 7396, bicep-types-az 1526).
  #disable-next-line BCP187
  location: location
  properties: { allow: false }
  dependsOn: [appSettings]
}
