"""The settings of an app under test."""

from collections.abc import Mapping

SPEECH_KEY = "0123456789abcdef0123456789abcdef"
RESOURCE_ID = (
    "/subscriptions/12345678-9abc-def0-1234-56789abcdef0/resourceGroups/recordings"
    "/providers/Microsoft.CognitiveServices/accounts/my-speech"
)


def app_settings(**changes: str | None) -> dict[str, str]:
    """Return the settings of a working app, with `changes`. None removes a setting."""
    values: dict[str, str | None] = {
        "AudioStorage": "AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net",
        "AZURE_SPEECH_KEY": SPEECH_KEY,
        "AZURE_SPEECH_REGION": "westeurope",
    }
    return changed(values, changes)


def changed(values: Mapping[str, str | None], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return `values` with `changes`, without those that are None."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}
