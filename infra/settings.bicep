// The app settings that a deployment may choose. The README's table explains them. The template decides the
// others: the storage connection, the key and the trigger's source.

@export()
@sealed()
@description('App settings that differ from their defaults.')
type Settings = {
  @description('A base URL to call instead of the region\'s: a custom domain or a sovereign host.')
  AZURE_SPEECH_ENDPOINT: string?
  AZURE_SPEECH_AUTH: ('key' | 'token' | 'identity')?
  @description('The ID of the Speech resource, for identity.')
  AZURE_SPEECH_RESOURCE_ID: string?
  @description('The endpoint ID of a custom model, or one per locale: en-US=…;fr-FR=….')
  AZURE_SPEECH_ENDPOINT_ID: string?
  @description('Additional query parameters, name=value&…')
  AZURE_SPEECH_QUERY: string?
  @description('The locale of recordings that do not specify one.')
  SPEECH_LANGUAGE: string?
  SPEECH_PROFANITY: ('masked' | 'removed' | 'raw')?
  SPEECH_FORMAT: ('simple' | 'detailed')?
  SPEECH_AUDIO_FORMAT: ('wav' | 'ogg')?
  SPEECH_WORD_TIMES: ('true' | 'false')?
  @description('The longest pause within a clip, in seconds.')
  SPEECH_PAUSE_SECONDS: string?
  @description('The most requests in flight in one process. Below it, the app finds out how many Speech accepts.')
  SPEECH_MAX_CONCURRENT_REQUESTS: string?
  @minLength(3)
  @maxLength(63)
  AUDIO_CONTAINER: string?
  @minLength(3)
  @maxLength(63)
  TRANSCRIPT_CONTAINER: string?
  @description('The container for the progress of recordings.')
  @minLength(3)
  @maxLength(63)
  WORK_CONTAINER: string?
  @description('A comma-separated list of json, vtt, srt, txt.')
  TRANSCRIPT_FORMATS: string?
  MAX_AUDIO_MINUTES: string?
  MAX_AUDIO_MEGABYTES: string?
  @description('Must stay below functionTimeout in host.json.')
  MAX_PROCESSING_MINUTES: string?
  @description('When to look for uploads without a finished document: six fields, in UTC, the first one for seconds. Or off.')
  SWEEP_SCHEDULE: string?
  @description('The number of days that the sweep looks back.')
  SWEEP_DAYS: string?
}

@export()
@description('The default values, the same as in local.settings.sample.json.')
var defaults = {
  AZURE_SPEECH_ENDPOINT: ''
  AZURE_SPEECH_AUTH: 'key'
  AZURE_SPEECH_RESOURCE_ID: ''
  AZURE_SPEECH_ENDPOINT_ID: ''
  AZURE_SPEECH_QUERY: ''
  SPEECH_LANGUAGE: 'en-US'
  SPEECH_PROFANITY: 'masked'
  SPEECH_FORMAT: 'detailed'
  SPEECH_AUDIO_FORMAT: 'wav'
  SPEECH_WORD_TIMES: 'true'
  SPEECH_PAUSE_SECONDS: '0.8'
  SPEECH_MAX_CONCURRENT_REQUESTS: '64'
  AUDIO_CONTAINER: 'audio'
  TRANSCRIPT_CONTAINER: 'transcripts'
  WORK_CONTAINER: 'transcription-work'
  TRANSCRIPT_FORMATS: 'json'
  MAX_AUDIO_MINUTES: '120'
  MAX_AUDIO_MEGABYTES: '512'
  MAX_PROCESSING_MINUTES: '50'
  SWEEP_SCHEDULE: '0 */15 * * * *'
  SWEEP_DAYS: '7'
}
