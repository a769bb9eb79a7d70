"""A custom model is for every recording, or for one locale only."""

import pytest

from transcription.settings.models import Models

PER_LOCALE = " en-us=0f1e ; fr-FR = 2d3c; "


@pytest.mark.parametrize("language", ["en-US", "fr-FR", "tlh-KX"])
def test_a_bare_id_is_the_model_of_every_locale(language: str) -> None:
    assert Models.parse("0f1e2d3c").id_for(language) == "0f1e2d3c"


@pytest.mark.parametrize(("language", "model"), [("en-US", "0f1e"), ("FR-fr", "2d3c"), ("de-DE", None)])
def test_a_locale_has_its_own_model_or_none(language: str, model: str | None) -> None:
    assert Models.parse(PER_LOCALE).id_for(language) == model


def test_without_a_setting_no_locale_has_a_model() -> None:
    assert Models().id_for("en-US") is None


def test_a_locale_that_is_newer_than_the_list_may_have_a_model() -> None:
    assert Models.parse("tlh-KX=0f1e").id_for("tlh-KX") == "0f1e"


def test_all_ids_are_known_so_that_no_message_repeats_them() -> None:
    assert Models.parse(PER_LOCALE).ids == ("0f1e", "2d3c")
    assert Models.parse("0f1e").ids == ("0f1e",)
    assert Models().ids == ()


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("en-US=c0de1;english=c0de2", "has an entry 2 that is not a locale and an id"),
        ("en-US=", "has an entry 1 that is not a locale and an id"),
        ("c0de1;c0de2", "has an entry 1 that is not a locale and an id"),
        ("en-US=c0de1;EN-us=c0de2", "has a second model for the locale of entry 2"),
        ("en-US=c0de 1", "has a space at position 5"),
        ("c0de 1", "has a space at position 5"),
        (" ; ", "names no model"),
    ],
)
def test_a_malformed_value_is_refused_without_being_quoted(value: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        Models.parse(value)
    assert "c0de" not in str(caught.value)
