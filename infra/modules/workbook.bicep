// What an operator looks at in the portal: the saved queries, and a workbook with charts.

import { queries } from '../queries.bicep'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The Log Analytics workspace.')
param workspaceName string

// A chart draws every column of numbers, so some queries are cut down to the columns that belong together.
var charts = [
  {
    name: 'outcomes'
    title: 'Recordings per hour, by outcome'
    query: '${queries.outcomes}| project TimeGenerated, Recordings, Outcome'
    visualization: 'barchart'
  }
  {
    name: 'backlog'
    title: 'Age of the oldest upload without a finished document, in hours'
    query: '${queries.sweeps}| project TimeGenerated, OldestHours'
    visualization: 'timechart'
  }
  {
    name: 'audio'
    title: 'Hours of audio per day: uploaded, and sent to Speech'
    query: '${queries['cost-per-audio-hour']}| project Day, AudioHours, SentHours'
    visualization: 'timechart'
  }
  {
    name: 'cost'
    title: 'Cost per day in USD: Speech, and at most for the app; the prices are at the top of the query'
    query: '${queries['cost-per-audio-hour']}| project Day, SpeechCost, AppCostAtMost'
    visualization: 'timechart'
  }
  {
    name: 'limits'
    title: 'Requests that a process had room for, and percent refused'
    query: queries.limits
    visualization: 'timechart'
  }
  {
    name: 'durations'
    title: 'Seconds that a recording takes: half of them, and 95 %, take no longer'
    query: queries.durations
    visualization: 'timechart'
  }
]

var timeRange = {
  type: 9
  name: 'time range'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    parameters: [
      {
        id: guid('TimeRange')
        version: 'KqlParameterItem/1.0'
        name: 'TimeRange'
        label: 'Time range'
        type: 4
        isRequired: true
        value: { durationMs: 604800000 } // a week
        typeSettings: {
          selectableValues: [{ durationMs: 86400000 }, { durationMs: 604800000 }, { durationMs: 2592000000 }]
          allowCustom: true
        }
      }
    ]
  }
}

var chartItems = [
  for chart in charts: {
    type: 3
    name: chart.name
    content: {
      version: 'KqlItem/1.0'
      title: chart.title
      query: chart.query
      visualization: chart.visualization
      size: 0
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
      timeContextFromParameter: 'TimeRange'
    }
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

resource savedQueries 'Microsoft.OperationalInsights/workspaces/savedSearches@2026-03-01' = [
  for query in items(queries): {
    parent: workspace
    name: 'transcription-${query.key}'
    properties: {
      category: 'Transcription'
      displayName: 'Transcription: ${replace(query.key, '-', ' ')}'
      query: query.value
      version: 2
      // Without this a second deployment is refused with 409. The type has it as a property of the resource, but there
      // it makes even the first deployment fail (bicep-types-az issue 1499).
      #disable-next-line BCP037
      etag: '*'
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // Azure demands a GUID.
  name: guid(workspace.id, 'transcription')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Transcription'
    category: 'workbook'
    sourceId: workspace.id
    version: '1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([timeRange], chartItems)
      fallbackResourceIds: [workspace.id]
    })
  }
}
