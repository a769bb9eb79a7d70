"""Locales are recognised however they are written, and decide how phrases are joined."""

import pytest

from transcription import locales


def test_every_listed_locale_is_well_formed_and_canonical() -> None:
    assert len(locales.LISTED) == 145
    for locale in locales.LISTED:
        assert locales.well_formed(locale)
        assert locales.canonical(locale.lower()) == locale


@pytest.mark.parametrize(
    ("written", "canonical"), [("fr-fr", "fr-FR"), ("en_US", "en-US"), ("ZH-cn-SICHUAN", "zh-CN-sichuan")]
)
def test_a_locale_is_recognized_however_it_is_written(written: str, canonical: str) -> None:
    assert locales.canonical(written) == canonical


@pytest.mark.parametrize("name", ["", "en", "english", "en-XX", "sichuan", "meetings", "en-US/"])
def test_anything_else_is_not_a_locale(name: str) -> None:
    assert locales.canonical(name) is None


@pytest.mark.parametrize(
    ("locale", "separator"), [("en-US", " "), ("ja-JP", ""), ("zh-CN-sichuan", ""), ("th-TH", ""), ("ko-KR", " ")]
)
def test_phrases_are_joined_as_their_language_is_written(locale: str, separator: str) -> None:
    assert locales.word_separator(locale) == separator


def test_every_assessed_locale_is_a_locale_of_speech_to_text() -> None:
    assert set(locales.ASSESSED) <= set(locales.LISTED)
    assert len(set(locales.ASSESSED)) == 33
