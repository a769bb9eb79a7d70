// Role assignments, with least privilege: each role has the smallest scope that works.

@description('The account for uploads, transcripts and the host\'s own state.')
param storageAccountName string
@description('The Application Insights resource for telemetry.')
param insightsName string
@description('The vault, which holds the Speech key and nothing else.')
param vaultName string
@description('The containers that people use.')
param userContainers string[]
@description('The container for events that could not be delivered.')
param deadLetterContainer string
@description('The user who may upload, read and run infra/redrive.py. Empty: nobody.')
param userObjectId string
@description('The principal ID of the app\'s identity.')
param appPrincipalId string
@description('The principal ID of the topic\'s identity.')
param topicPrincipalId string

// Built-in roles have the same GUIDs everywhere.
var roleIds = {
  blobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  queueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}

// The scope is the whole account, because the host creates its own containers, queues and tables there: blobs for
// locks, keys and the package, queues for the triggers' work and poison messages, tables for diagnostics.
var appRolesOnStorage = [roleIds.blobDataOwner, roleIds.queueDataContributor, roleIds.tableDataContributor]

resource storage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource usersContainers 'containers' existing = [
      for container in userContainers: {
        name: container
      }
    ]

    resource deadLetters 'containers' existing = {
      name: deadLetterContainer
    }
  }

  resource queues 'queueServices' existing = {
    name: 'default'

    resource again 'queues' existing = {
      name: 'transcription-again'
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: vaultName
}

// The names below include the principal. An assignment cannot move to another principal, so under a fixed name an
// identity that was deleted and created again would be refused. With principalType, the deployment need not wait until
// the whole directory knows a new principal.

resource appOnStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in appRolesOnStorage: {
    scope: storage
    name: guid(storage.id, appPrincipalId, role)
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource appOnVault 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, appPrincipalId, roleIds.keyVaultSecretsUser)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.keyVaultSecretsUser)
  }
}

resource appOnInsights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, appPrincipalId, roleIds.metricsPublisher)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.metricsPublisher)
  }
}

resource topicOnDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage::blobs::deadLetters
  name: guid(storage::blobs::deadLetters.id, topicPrincipalId, roleIds.blobDataContributor)
  properties: {
    principalId: topicPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.blobDataContributor)
  }
}

// No principalType for the user: this is either a person or a pipeline's service principal. Both existed before the
// deployment.

resource userOnContainers 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, index) in userContainers: if (!empty(userObjectId)) {
    scope: storage::blobs::usersContainers[index]
    name: guid(storage.id, container, userObjectId, roleIds.blobDataContributor)
    properties: {
      principalId: userObjectId
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.blobDataContributor)
    }
  }
]

// For infra/redrive.py.
resource userOnQueue 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(userObjectId)) {
  scope: storage::queues::again
  name: guid(storage::queues::again.id, userObjectId, roleIds.queueDataMessageSender)
  properties: {
    principalId: userObjectId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds.queueDataMessageSender)
  }
}
