// Alerts and saved queries. All queries in ../queries are saved; some of them raise alerts.

@description('The region.')
param location string
@description('The tags of every resource.')
param tags { *: string }
@description('The Log Analytics workspace.')
param workspaceName string
@description('The storage account\'s Event Grid topic.')
param systemTopicId string
@description('The email address for alerts. Empty: alerts appear in the portal only.')
param email string
@description('Raise an alert if more hours of audio than this are sent within a day.')
param audioHoursPerDay int

var queries = {
  'failed-documents': loadTextContent('../queries/failed-documents.kql')
  exhausted: loadTextContent('../queries/exhausted.kql')
  'unwritten-documents': loadTextContent('../queries/unwritten-documents.kql')
  'poison-queue': loadTextContent('../queries/poison-queue.kql')
  'abandoned-uploads': loadTextContent('../queries/abandoned-uploads.kql')
  'failed-calls': loadTextContent('../queries/failed-calls.kql')
  'repeated-sweeps': loadTextContent('../queries/repeated-sweeps.kql')
  sweeps: loadTextContent('../queries/sweeps.kql')
  requeued: loadTextContent('../queries/requeued.kql')
  throttling: loadTextContent('../queries/throttling.kql')
  'dead-letters': loadTextContent('../queries/dead-letters.kql')
  'delivery-failures': loadTextContent('../queries/delivery-failures.kql')
  'audio-seconds': loadTextContent('../queries/audio-seconds.kql')
  'cost-per-audio-hour': loadTextContent('../queries/cost-per-audio-hour.kql')
}

// These run every 15 minutes. Running them more often costs more, and none of these problems can be fixed within minutes.
// Each is raised by more rows than `threshold` in half an hour.
var rowAlerts = [
  {
    query: 'failed-documents'
    severity: 2
    threshold: 0
    description: 'Uploads ended as Failed. The query failed-documents lists them with their error codes. The README says what to do about each code. Once the cause is fixed, the sweep transcribes those that need no new upload.'
  }
  {
    query: 'exhausted'
    severity: 2
    threshold: 0
    description: 'Speech answered nothing for MAX_PROCESSING_MINUTES. The uploads are tried again by themselves, five times, with growing waits. Nothing to do unless it goes on for hours: then check the status of Speech in the region, and whether something else uses its quota.'
  }
  {
    query: 'unwritten-documents'
    severity: 1
    threshold: 0
    description: 'Storage refuses documents. The answers of Speech are kept, and the documents are written as soon as storage accepts them. The errors in the log name the cause, such as a lease, a retention policy or a missing role: remove it.'
  }
  {
    query: 'poison-queue'
    severity: 2
    threshold: 0
    description: 'The host gave up on uploads after five tries. Their documents are Failed/Abandoned, and the sweep transcribes them again within half an hour. Nothing to do unless they also raise the alert "abandoned uploads". The exceptions of the function transcribe say what happened.'
  }
  {
    query: 'abandoned-uploads'
    severity: 1
    threshold: 0
    description: 'Uploads got no answer in five attempts, and are not tried again. Their documents are Failed/Abandoned. The query abandoned-uploads lists them. Fix what the exceptions of the function again show, then run infra/redrive.py.'
  }
  {
    query: 'failed-calls'
    severity: 2
    // The host gives up on an upload or a message after five failed calls.
    threshold: 4
    description: 'The functions transcribe, again and sweep failed five times or more in half an hour. The sweep queues the uploads again. Nothing to do unless it goes on: then their exceptions say what to fix, usually that storage is down, or that its network rules refuse the app.'
  }
  {
    query: 'repeated-sweeps'
    severity: 2
    threshold: 0
    description: 'The sweep found uploads again that had been tried before without any answer. They are tried again with growing waits. Nothing to do unless it goes on for a day: then the queries failed-documents, exhausted, unwritten-documents and failed-calls show why they do not end.'
  }
  {
    query: 'throttling'
    severity: 3
    threshold: 0
    description: 'Speech has been refusing two of three requests for minutes. Nothing is lost: the app waits and uses what Speech accepts. Raise the quota, lower maximumInstances, or find out what else uses the Speech resource.'
  }
]

// The sweep does not need events, but finds uploads only every 15 minutes.
var eventAlerts = [
  {
    metric: 'DeadLetteredCount'
    description: 'Events of uploads could not be delivered; they are in the container dead-letters. The sweep transcribes the uploads within half an hour, unless SWEEP_SCHEDULE is off. The query delivery-failures shows what to fix.'
  }
  {
    metric: 'DroppedEventCount'
    description: 'Events of uploads could be neither delivered nor stored. The sweep transcribes the uploads within half an hour, unless SWEEP_SCHEDULE is off. The query delivery-failures shows what to fix.'
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

resource recipients 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'transcription'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'transcribe'
    enabled: true
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource watchedRows 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in rowAlerts: {
    name: 'transcription-${alert.query}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Transcription: ${replace(alert.query, '-', ' ')}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspace.id]
      // A new workspace has no tables until something is written to them.
      skipQueryValidation: true
      evaluationFrequency: 'PT15M'
      // Twice the frequency, because a log line may take minutes to become searchable.
      windowSize: 'PT30M'
      autoMitigate: true
      criteria: {
        allOf: [{ query: queries[alert.query], timeAggregation: 'Count', operator: 'GreaterThan', threshold: alert.threshold }]
      }
      actions: { actionGroups: empty(email) ? [] : [recipients.id] }
    }
  }
]

resource watchedAudio 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'transcription-audio-seconds'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Transcription: much audio'
    description: 'More than ${audioHoursPerDay} hours of audio were sent to Speech within a day. Check that this cost is intended.'
    severity: 3
    enabled: true
    scopes: [workspace.id]
    skipQueryValidation: true
    evaluationFrequency: 'PT1H'
    windowSize: 'P1D'
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: queries['audio-seconds']
          metricMeasureColumn: 'AudioSecondsSent'
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: audioHoursPerDay * 3600
        }
      ]
    }
    actions: { actionGroups: empty(email) ? [] : [recipients.id] }
  }
}

resource watchedEvents 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in eventAlerts: {
    name: 'transcription-${alert.metric}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: 1
      enabled: true
      scopes: [systemTopicId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.metric
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: alert.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: empty(email) ? [] : [{ actionGroupId: recipients.id }]
    }
  }
]
