using 'main.bicep'

// The parameters that you are most likely to change. main.bicep explains these and all others. For another deployment,
// copy this file: infra/deploy.sh --parameters infra/my.bicepparam

param settings = {
  SPEECH_LANGUAGE: 'en-US'
}

// S0 charges by use. F0 is free, with one request at a time and five hours of audio a month:
//   param speechSku = 'F0'

// The maximum number of instances of each function. They share the Speech quota.
param maximumInstances = 12

// Without an address, alerts reach nobody.
param alertEmail = ''

// For a private network, see docs/deploy.md, Private networks, first:
//   param network = 'private'

// To use a Speech resource of your own, set its region here. Put its key into the environment, never into this file:
//   EXISTING_SPEECH_KEY=… infra/deploy.sh …
param existingSpeechRegion = ''
param existingSpeechKey = readEnvironmentVariable('EXISTING_SPEECH_KEY', '')

// deploy.sh looks for deleted resources that still hold a name.
param restoreSpeech = bool(readEnvironmentVariable('RESTORE_SPEECH', 'false'))
param recoverVault = bool(readEnvironmentVariable('RECOVER_VAULT', 'false'))
