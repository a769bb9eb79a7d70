using 'main.bicep'

// What is likely to be changed; main.bicep explains these and the other parameters. A copy of this file serves another
// deployment: infra/deploy.sh --parameters infra/my.bicepparam

param settings = {
  SPEECH_LANGUAGE: 'en-US'
}

// S0 costs what is used. F0 is free, with one request at a time and five hours of audio a month:
//   param speechSku = 'F0'

// The Speech quota is shared out among so many instances.
param maximumInstances = 12

param alertEmail = ''

// To use a Speech resource of your own, its region here, its SKU as speechSku, and its key in the environment, never in
// this file:
//   EXISTING_SPEECH_KEY=… infra/deploy.sh …
param existingSpeechRegion = ''
param existingSpeechKey = readEnvironmentVariable('EXISTING_SPEECH_KEY', '')

// deploy.sh asks how few instances the region allows, and whether a deleted resource still holds a name.
param leastInstances = int(readEnvironmentVariable('LEAST_INSTANCES', '1'))
param restoreSpeech = bool(readEnvironmentVariable('RESTORE_SPEECH', 'false'))
param recoverVault = bool(readEnvironmentVariable('RECOVER_VAULT', 'false'))
