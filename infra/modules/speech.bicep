// The Speech resource, and the vault that holds its key. Azure Resource Manager copies the key to the vault. No person,
// script or output sees it.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The Speech resource\'s name.')
param name string
@description('F0 is free, S0 is standard.')
@allowed(['F0', 'S0'])
param sku string
@description('The one of the two keys to use.')
@allowed(['key1', 'key2'])
param keyName string
@description('The region of an existing Speech resource. Empty: one is created.')
param existingRegion string
@description('The key of the existing resource.')
@secure()
param existingKey string
@description('Restore the deleted resource that holds the name.')
param restore bool
@description('The vault\'s name, globally unique.')
param vaultName string
@description('Keep a deleted vault from being purged. This cannot be turned off again.')
param vaultPurgeProtection bool
@description('Recover the deleted vault that holds the name.')
param recoverVault bool
@description('Allow access only through private endpoints.')
param isPrivate bool

var exists = !empty(existingRegion)

resource account 'Microsoft.CognitiveServices/accounts@2026-07-01' = if (!exists) {
  name: name
  location: location
  tags: tags
  kind: 'SpeechServices'
  sku: { name: sku }
  properties: {
    // The REST API for short audio needs the key.
    disableLocalAuth: false
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    // A private endpoint needs the custom domain, which can never be changed. The region's address does not need it.
    customSubDomainName: isPrivate ? name : null
    // `restore` is refused if nothing was deleted, so it is omitted then.
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
    // Azure refuses `false`.
    enablePurgeProtection: vaultPurgeProtection ? true : null
    // Without a private network, the role protects the secret. Trusted services, such as Azure Resource Manager, which
    // writes the secret, have access in any case.
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isPrivate ? 'Deny' : 'Allow', bypass: 'AzureServices' }
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

@description('The value of the app setting. It names no version, so it follows a rotation.')
output keyReference string = '@Microsoft.KeyVault(SecretUri=${secret.properties.secretUri})'
@description('The region to call.')
output region string = exists ? existingRegion : location
@description('The custom domain, which a private endpoint needs. Empty: the region\'s address. The app adds /stt.')
output endpoint string = isPrivate && !exists ? account!.properties.endpoint : ''
