"""The settings about the Speech service can be read without those about storage."""

import pytest

from tests.support.settings import RESOURCE_ID, SPEECH_KEY, app_settings
from transcription.errors import Misconfigured
from transcription.settings.speech import SpeechSettings


def read(**changes: str | None) -> SpeechSettings:
    return SpeechSettings.read(app_settings(AudioStorage=None, **changes))


def test_the_speech_settings_need_no_storage_settings() -> None:
    assert read().key == SPEECH_KEY


def test_one_error_names_every_missing_speech_setting() -> None:
    with pytest.raises(Misconfigured, match=r"AZURE_SPEECH_KEY is missing.*AZURE_SPEECH_REGION is missing"):
        read(AZURE_SPEECH_KEY=None, AZURE_SPEECH_REGION=None)


def test_an_identity_needs_the_resources_id_and_no_key() -> None:
    settings = read(AZURE_SPEECH_AUTH="identity", AZURE_SPEECH_RESOURCE_ID=RESOURCE_ID + "/", AZURE_SPEECH_KEY=None)
    assert (settings.auth, settings.key, settings.resource_id) == ("identity", "", RESOURCE_ID)
    with pytest.raises(Misconfigured, match="AZURE_SPEECH_RESOURCE_ID is missing"):
        read(AZURE_SPEECH_AUTH="identity")


def test_a_user_assigned_identity_is_the_same_as_for_storage() -> None:
    assert read(AudioStorage__clientId="1234").client_id == "1234"


@pytest.mark.parametrize(("value", "seconds"), [("0.45", 0.45), ("0.3", 0.3), ("5", 5.0)])
def test_the_longest_pause_of_a_clip_can_be_set(value: str, seconds: float) -> None:
    assert read(SPEECH_PAUSE_SECONDS=value).pause_seconds == seconds
