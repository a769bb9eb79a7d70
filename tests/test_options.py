"""An upload's metadata, folder and size decide its options, or refuse it."""

import re
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.support.settings import app_settings
from transcription.errors import EmptyUpload, InvalidOption, TooLarge, UnknownLanguage
from transcription.options import check_size, recognition_options
from transcription.settings.app import MEGABYTE, Settings
from transcription.speech.client import RecognitionOptions
from transcription.storage.uploads import UploadProperties

SETTINGS = Settings.read(app_settings(MAX_AUDIO_MEGABYTES="1"))


def options(name: str = "a.wav", default_language: str = "en-US", **metadata: str) -> RecognitionOptions:
    upload = UploadProperties(name, "0x1", 1000, metadata)
    return recognition_options(upload, replace(SETTINGS.speech, language=default_language))


def upload_of(size: int) -> UploadProperties:
    return UploadProperties("a.wav", "0x1", size, {})


def test_an_upload_without_metadata_gets_the_settings() -> None:
    assert options() == RecognitionOptions("en-US", "masked", None)


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("fr-FR/a.wav", "fr-FR"),
        ("FR_fr/2026/a.wav", "fr-FR"),
        ("meetings/a.wav", "en-US"),
        ("fr-FR", "en-US"),
        ("x/fr-FR/a.wav", "en-US"),
    ],
)
def test_the_first_folder_decides_the_language_if_it_is_a_locale(name: str, language: str) -> None:
    assert options(name).language == language


def test_the_metadatas_language_overrides_the_folders() -> None:
    assert options("fr-FR/a.wav", language=" de-de ").language == "de-DE"


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnknownLanguage, match="'klingon', which is not a supported locale"):
        options(language="klingon")


def test_the_default_language_can_be_requested_even_if_it_is_not_listed() -> None:
    assert options(default_language="tlh-KX", language="TLH-kx").language == "tlh-KX"


@pytest.mark.parametrize(
    ("name", "language", "from_upload"),
    [("a.wav", "", False), ("fr-FR/a.wav", "", True), ("a.wav", "fr-FR", True), ("a.wav", "en-us", False)],
)
def test_the_options_say_if_the_upload_decided_the_language(name: str, language: str, from_upload: bool) -> None:
    assert options(name, language=language).language_from_upload is from_upload


def test_the_metadatas_profanity_overrides_the_setting() -> None:
    assert options(profanity=" Raw ").profanity == "raw"


def test_an_unknown_profanity_is_refused_with_what_to_use() -> None:
    with pytest.raises(InvalidOption, match=r"'none'\. Use one of masked, removed, raw"):
        options(profanity="none")


def test_the_metadata_requests_a_pronunciation_assessment() -> None:
    assert options(reference_text="good%20morning").pronunciation == {"ReferenceText": "good morning"}


@pytest.mark.parametrize(
    ("language", "region", "reason"),
    [
        ("fr-BE", "westeurope", "does not support the language 'fr-BE'. It supports ar-EG, "),
        ("fr-FR", "westeurope", "EnableProsodyAssessment is for en-US only, and the language is 'fr-FR'"),
        ("en-US", "usgovvirginia", "Azure Government does not have"),
    ],
)
def test_an_assessment_that_the_service_does_not_offer_is_refused_with_the_reason(
    language: str, region: str, reason: str
) -> None:
    speech = Settings.read(app_settings(AZURE_SPEECH_REGION=region)).speech
    parameters = quote('{"ReferenceText": "hi", "EnableProsodyAssessment": true}')
    upload = UploadProperties("a.wav", "0x1", 1000, {"pronunciation": parameters, "language": language})
    with pytest.raises(InvalidOption, match=re.escape(reason)):
        recognition_options(upload, speech)


def test_an_upload_without_bytes_is_refused() -> None:
    with pytest.raises(EmptyUpload):
        check_size(upload_of(0), SETTINGS.limits)


def test_an_upload_of_exactly_the_limit_is_accepted_and_a_larger_one_refused() -> None:
    check_size(upload_of(MEGABYTE), SETTINGS.limits)
    with pytest.raises(TooLarge, match=r"has 1\.5 MB. The limit is 1\.0 MB \(MAX_AUDIO_MEGABYTES\)"):
        check_size(upload_of(MEGABYTE * 3 // 2), SETTINGS.limits)
