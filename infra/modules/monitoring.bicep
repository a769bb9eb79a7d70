// Where logs go. Who may write them is in roles.bicep.

@description('The region.')
param location string
@description('On every resource.')
param tags { *: string }
@description('The Log Analytics workspace\'s name.')
param workspaceName string
@description('The Application Insights resource\'s name.')
param insightsName string

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    // No charge for keeping them so long.
    retentionInDays: 30
    // Identities only.
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
    // The connection string is an address then, and opens nothing.
    DisableLocalAuth: true
  }
}

@description('For diagnostic settings.')
output workspaceId string = workspace.id
@description('Where the app sends telemetry. No secret: it opens nothing without the role.')
output insightsConnectionString string = insights.properties.ConnectionString
