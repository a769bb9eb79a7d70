// The private network: a virtual network for the app, and private endpoints for what it uses. Not tried on Azure yet.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The virtual network\'s name.')
param name string
@description('Its addresses, such as 10.90.0.0/24. A prefix of 25 bits at most.')
param addresses string
@description('The storage account.')
param storageAccountName string
@description('The vault.')
param vaultName string
@description('The Speech resource. Empty: it belongs to somebody else, and keeps its public endpoint.')
param speechName string

resource storage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: vaultName
}

resource speech 'Microsoft.CognitiveServices/accounts@2026-07-01' existing = {
  name: empty(speechName) ? 'none' : speechName
}

var storageDomain = environment().suffixes.storage

// `zone` is the domain that the public name leads to inside the network. Azure prescribes these names; the last two are
// those of the public cloud.
var storageEndpoints = [
  { name: 'blob', group: 'blob', resource: storage.id, zone: 'privatelink.blob.${storageDomain}' }
  { name: 'queue', group: 'queue', resource: storage.id, zone: 'privatelink.queue.${storageDomain}' }
  { name: 'table', group: 'table', resource: storage.id, zone: 'privatelink.table.${storageDomain}' }
]
var vaultEndpoint = { name: 'vault', group: 'vault', resource: vault.id, zone: 'privatelink.vaultcore.azure.net' }
var speechEndpoint = { name: 'speech', group: 'account', resource: speech.id, zone: 'privatelink.cognitiveservices.azure.com' }
var endpoints = concat(storageEndpoints, [vaultEndpoint], empty(speechName) ? [] : [speechEndpoint])

resource virtualNetwork 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    // Listed here, not as child resources: a second deployment of the network would first delete those.
    subnets: [
      {
        // For outbound traffic. An app needs at most 40 addresses, and Flex Consumption takes no name with an underscore.
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 0)
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: cidrSubnet(addresses, 26, 1) }
      }
    ]
  }

  resource app 'subnets' existing = {
    name: 'app'
  }

  resource forEndpoints 'subnets' existing = {
    name: 'endpoints'
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for endpoint in endpoints: {
    name: endpoint.zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (endpoint, index) in endpoints: {
    parent: zones[index]
    name: name
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: virtualNetwork.id } }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for endpoint in endpoints: {
    name: 'pe-${endpoint.name}-${name}'
    location: location
    tags: tags
    properties: {
      subnet: { id: virtualNetwork::forEndpoints.id }
      privateLinkServiceConnections: [
        {
          name: endpoint.name
          properties: { privateLinkServiceId: endpoint.resource, groupIds: [endpoint.group] }
        }
      ]
    }
  }
]

// Writes each endpoint's address into its zone.
resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (endpoint, index) in endpoints: {
    parent: privateEndpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: endpoint.name, properties: { privateDnsZoneId: zones[index].id } }]
    }
  }
]

@description('The subnet for the app\'s outbound traffic.')
output appSubnetId string = virtualNetwork::app.id
