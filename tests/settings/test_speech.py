"""The settings about the Speech service can be read without those about storage."""

import pytest

from tests.support.settings import SPEECH_KEY, app_settings
from transcription.errors import Misconfigured
from transcription.settings.speech import SpeechSettings


def read(**changes: str | None) -> SpeechSettings:
    return SpeechSettings.read(app_settings(AudioStorage=None, **changes))


def test_the_speech_settings_need_no_storage_settings() -> None:
    assert read().key == SPEECH_KEY


def test_one_error_names_every_missing_speech_setting() -> None:
    with pytest.raises(Misconfigured, match=r"AZURE_SPEECH_KEY is missing.*AZURE_SPEECH_REGION is missing"):
        read(AZURE_SPEECH_KEY=None, AZURE_SPEECH_REGION=None)
