// Alerts. Each names a query of ../queries, or a metric of the storage account's topic.

import { queries } from '../queries.bicep'

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
@description('Raise an alert if an upload has had no finished document for this many hours.')
param backlogHours int
@description('The app has the function `sweep`.')
param sweeps bool
@description('How long no sweep may end, as a timespan of Kusto.')
param sweepSilence string

@description('An alert on the rows of a query.')
type LogAlert = {
  name: string
  severity: int
  description: string
  @description('The query, if its name differs.')
  query: string?
  @description('Raised by more than this: rows, or what `aggregation` makes of `column`.')
  threshold: int?
  column: string?
  aggregation: ('Total' | 'Maximum')?
  @description('The time that the query sees, unless it is half an hour.')
  window: string?
}

// Most run every 15 minutes. Running them more often costs more, and none of these problems can be fixed within minutes.
// Half an hour is twice that, because a log line may take minutes to become searchable.
var logAlerts LogAlert[] = [
  {
    name: 'failed-documents'
    severity: 2
    description: 'Uploads ended as Failed. The query failed-documents lists them with their error codes. The README says what to do about each code. Once the cause is fixed, the sweep transcribes those that need no new upload.'
  }
  {
    name: 'exhausted'
    severity: 2
    description: 'Speech answered nothing for MAX_PROCESSING_MINUTES. The uploads are tried again by themselves, five times, with growing waits. Nothing to do unless it goes on for hours: then check the status of Speech in the region, and whether something else uses its quota.'
  }
  {
    name: 'unwritten-documents'
    severity: 1
    description: 'Storage refuses documents. The answers of Speech are kept, and the documents are written as soon as storage accepts them. The errors in the log name the cause, such as a lease, a retention policy or a missing role: remove it.'
  }
  {
    name: 'poison-queue'
    severity: 2
    description: 'The host gave up on uploads after five tries. Their documents are Failed/Abandoned, and the sweep transcribes them again within half an hour. Nothing to do unless they also raise the alert "abandoned uploads". The exceptions of the function transcribe say what happened.'
  }
  {
    name: 'abandoned-uploads'
    severity: 1
    description: 'Uploads got no answer in five attempts, and are not tried again. Their documents are Failed/Abandoned. The query abandoned-uploads lists them. Fix what the exceptions of the function again show, then run infra/redrive.py.'
  }
  {
    name: 'again-failures'
    severity: 2
    // The host gives up on a message after five failed calls.
    threshold: 4
    description: 'The function again failed five times or more in half an hour. Messages may be on the queue transcription-again-poison; the sweep queues their uploads again. Nothing to do unless it goes on: then its exceptions say what to fix, usually that storage is down or refuses access.'
  }
  {
    name: 'throttling'
    severity: 3
    description: 'Speech has been refusing two of three requests for minutes. Nothing is lost: the app waits and uses what Speech accepts. Raise the quota, lower maximumInstances, or find out what else uses the Speech resource.'
  }
  {
    // A log, not the metric DeliveryAttemptFailCount: that counts attempts, so a hundred events that each arrive at the
    // second try look like one that never does.
    name: 'undelivered-events'
    severity: 2
    window: 'PT6H'
    description: 'Event Grid cannot deliver the events of uploads. The sweep transcribes the uploads within half an hour, unless SWEEP_SCHEDULE is off. The query undelivered-events shows the reasons. Check that the app is running and can be reached.'
  }
  {
    name: 'audio-seconds'
    severity: 3
    column: 'AudioSecondsSent'
    aggregation: 'Total'
    threshold: audioHoursPerDay * 3600
    window: 'P1D'
    description: 'More than ${audioHoursPerDay} hours of audio were sent to Speech within a day. Check that this cost is intended.'
  }
]

// What the sweep sees: whatever keeps an upload from its document, it is here at last.
var sweepAlerts LogAlert[] = [
  {
    name: 'repeated-sweeps'
    severity: 2
    description: 'The sweep found uploads again that had been tried before without any answer. They are tried again with growing waits. Nothing to do unless it goes on for a day: then the queries failed-documents, exhausted, unwritten-documents and again-failures show why they do not end.'
  }
  {
    name: 'old-backlog'
    query: 'sweeps'
    severity: 2
    column: 'OldestHours'
    aggregation: 'Maximum'
    threshold: backlogHours
    description: 'An upload has had no finished document for more than ${backlogHours} hours. Check that the backlog shrinks: the query sweeps shows how many uploads are missing a document. If it grows, there is more audio than the quota of Speech allows. If it stays, the queries failed-documents, exhausted and unwritten-documents show why.'
  }
  {
    name: 'idle-queue'
    severity: 1
    window: 'P1D'
    description: 'The sweep has put uploads on the queue transcription-again, and nobody works on them. Check that the app is running, and that its exceptions name no queue: usually network rules of the storage account keep the host out, or a role is missing.'
  }
  {
    name: 'missing-sweeps'
    severity: 1
    window: 'P2D' // the longest that Azure allows
    description: 'No sweep has ended for longer than it may take. Nothing finds uploads whose events were lost. If the query missing-sweeps shows failed calls, the exceptions of the function sweep say what to fix. Otherwise check that the app is running: usually network rules of the storage account keep the host out. Also check that the log has not reached its limit of the day (logGigabytesPerDay).'
  }
]

var chosenQueries = union(queries, {
  'missing-sweeps': replace(queries['missing-sweeps'], 'let silence = 1h;', 'let silence = ${sweepSilence};')
})

// The sweep does not need events, but finds uploads only every 15 minutes.
var eventAlerts = [
  {
    metric: 'DeadLetteredCount'
    description: 'Events of uploads could not be delivered; they are in the container dead-letters. The sweep transcribes the uploads within half an hour, unless SWEEP_SCHEDULE is off. The query delivery-failures shows what to fix. If it is 401, run deploy.sh --events.'
  }
  {
    metric: 'DroppedEventCount'
    description: 'Events of uploads could be neither delivered nor stored. The sweep transcribes the uploads within half an hour, unless SWEEP_SCHEDULE is off. The query delivery-failures shows what to fix. If it is 401, run deploy.sh --events.'
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

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

resource watchedLog 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in concat(logAlerts, sweeps ? sweepAlerts : []): {
    name: 'transcription-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Transcription: ${replace(alert.name, '-', ' ')}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspace.id]
      // A new workspace has no tables until something is written to them.
      skipQueryValidation: true
      evaluationFrequency: 'PT15M'
      windowSize: alert.?window ?? 'PT30M'
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: chosenQueries[alert.?query ?? alert.name]
            metricMeasureColumn: alert.?column
            timeAggregation: alert.?aggregation ?? 'Count'
            operator: 'GreaterThan'
            threshold: alert.?threshold ?? 0
          }
        ]
      }
      actions: { actionGroups: empty(email) ? [] : [recipients.id] }
    }
  }
]

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
