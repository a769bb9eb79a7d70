// The log storage. roles.bicep says who may write to it.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The Log Analytics workspace\'s name.')
param workspaceName string
@description('The Application Insights resource\'s name.')
param insightsName string
@description('The most data of a day, in GB. 0 means no limit.')
param gigabytesPerDay int

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    // Keeping logs this long is free.
    retentionInDays: 30
    // A loop that logs must not cost more than this. -1 means no limit.
    workspaceCapping: { dailyQuotaGb: gigabytesPerDay > 0 ? gigabytesPerDay : -1 }
    // Only identities may write, not keys.
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    // With this, the connection string is only an address and grants no access.
    DisableLocalAuth: true
  }
}

@description('The workspace\'s ID, for diagnostic settings.')
output workspaceId string = workspace.id
@description('The address for the app\'s telemetry. It is no secret: without the role it grants no access.')
output insightsConnectionString string = insights.properties.ConnectionString
