// The app settings that a deployment may choose. The README's table explains them. The template decides all others: the
// storage connection, the key, and the number of requests in flight.

@export()
@sealed()
@description('App settings that differ from their defaults.')
type Settings = {
  @description('A base URL to call instead of the region\'s: a custom domain or a sovereign host.')
  AZURE_SPEECH_ENDPOINT: string?
  AZURE_SPEECH_AUTH: ('key' | 'token')?
  @description('The endpoint ID of a custom model.')
  AZURE_SPEECH_ENDPOINT_ID: string?
  @description('Additional query parameters, name=value&…')
  AZURE_SPEECH_QUERY: string?
  @description('The locale of recordings that do not specify one.')
  SPEECH_LANGUAGE: string?
  SPEECH_PROFANITY: ('masked' | 'removed' | 'raw')?
  SPEECH_FORMAT: ('simple' | 'detailed')?
  SPEECH_AUDIO_FORMAT: ('wav' | 'ogg')?
  SPEECH_WORD_TIMES: ('true' | 'false')?
  @minLength(3)
  @maxLength(63)
  AUDIO_CONTAINER: string?
  @minLength(3)
  @maxLength(63)
  TRANSCRIPT_CONTAINER: string?
  @description('A comma-separated list of json, vtt, srt, txt.')
  TRANSCRIPT_FORMATS: string?
  MAX_AUDIO_MINUTES: string?
  MAX_AUDIO_MEGABYTES: string?
  @description('Must stay below functionTimeout in host.json.')
  MAX_PROCESSING_MINUTES: string?
}

@export()
@description('The default values, the same as in local.settings.sample.json.')
var defaults = {
  AZURE_SPEECH_ENDPOINT: ''
  AZURE_SPEECH_AUTH: 'key'
  AZURE_SPEECH_ENDPOINT_ID: ''
  AZURE_SPEECH_QUERY: ''
  SPEECH_LANGUAGE: 'en-US'
  SPEECH_PROFANITY: 'masked'
  SPEECH_FORMAT: 'detailed'
  SPEECH_AUDIO_FORMAT: 'wav'
  SPEECH_WORD_TIMES: 'true'
  AUDIO_CONTAINER: 'audio'
  TRANSCRIPT_CONTAINER: 'transcripts'
  TRANSCRIPT_FORMATS: 'json'
  MAX_AUDIO_MINUTES: '120'
  MAX_AUDIO_MEGABYTES: '512'
  MAX_PROCESSING_MINUTES: '50'
}
