// The Speech resource, and the vault that holds its key. The key goes from one to the other inside Azure Resource
// Manager: no person, script or output sees it.

@description('The region.')
param location string
@description('On every resource.')
param tags { *: string }
@description('The Speech resource\'s name.')
param name string
@description('Free or standard.')
@allowed(['F0', 'S0'])
param sku string
@description('Which of the two keys.')
@allowed(['key1', 'key2'])
param keyName string
@description('Not empty: the Speech resource exists, and this is its region.')
param existingRegion string
@description('The key of the existing resource.')
@secure()
param existingKey string
@description('A deleted resource holds the name.')
param restore bool
@description('The vault\'s name, unique in the world.')
param vaultName string
@description('Cannot be switched off again.')
param vaultPurgeProtection bool
@description('A deleted vault holds the name.')
param recoverVault bool

var exists = !empty(existingRegion)

resource account 'Microsoft.CognitiveServices/accounts@2026-07-01' = if (!exists) {
  name: name
  location: location
  tags: tags
  kind: 'SpeechServices'
  sku: { name: sku }
  properties: {
    // The REST API for short audio is called with the key.
    disableLocalAuth: false
    publicNetworkAccess: 'Enabled'
    // Refused where nothing was deleted, so it is left out then. No customSubDomainName: it could never be changed
    // again, and the region's address does without.
    restore: restore ? true : null
  }
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: vaultName
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    createMode: recoverVault ? 'recover' : 'default'
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    // `false` is refused.
    enablePurgeProtection: vaultPurgeProtection ? true : null
    // The app has no virtual network to come from; what guards the secret is the role.
    publicNetworkAccess: 'Enabled'
  }
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2026-05-15' = {
  parent: vault
  name: 'speech-key'
  tags: tags
  properties: {
    contentType: 'Key of the Speech resource'
    value: exists
      ? (empty(existingKey) ? fail('existingSpeechRegion is set, but not existingSpeechKey.') : existingKey)
      : (keyName == 'key1' ? account!.listKeys().key1 : account!.listKeys().key2)
  }
}

@description('The app setting\'s value. No version in it, so that it follows a rotation.')
output keyReference string = '@Microsoft.KeyVault(SecretUri=${secret.properties.secretUri})'
@description('The region to call.')
output region string = exists ? existingRegion : location
