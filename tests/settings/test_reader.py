"""Each form of setting has a default, and every wrong value is noted until one error names them all."""

import pytest

from transcription.errors import Misconfigured
from transcription.settings.reader import SettingsReader


def problems(reader: SettingsReader) -> str:
    with pytest.raises(Misconfigured) as caught:
        reader.finish()
    return str(caught.value)


def test_settings_that_are_not_set_have_their_defaults() -> None:
    reader = SettingsReader({"BLANK": "  "})
    assert reader.text("BLANK") is None
    assert reader.choice("BLANK", "a", ("a", "b")) == "a"
    assert reader.choices("BLANK", ("a",), ("a", "b")) == ("a",)
    assert reader.number("BLANK", 1.5, 10) == 1.5
    assert reader.count("MISSING", 8) == 8
    reader.finish()


def test_choices_are_spelled_as_allowed_and_listed_once() -> None:
    reader = SettingsReader({"FORMATS": " JSON, vtt,,json "})
    assert reader.choices("FORMATS", ("json",), ("json", "vtt")) == ("json", "vtt")
    reader.finish()


def test_a_choice_is_one_value_only() -> None:
    reader = SettingsReader({"FORMAT": "simple,detailed"})
    assert reader.choice("FORMAT", "detailed", ("simple", "detailed")) == "detailed"
    assert "FORMAT is 'simple,detailed'. Set it to one of simple, detailed." in problems(reader)


@pytest.mark.parametrize("value", ["0", "-1", "10.1", "nan", "inf", "many"])
def test_a_number_outside_its_range_is_wrong(value: str) -> None:
    reader = SettingsReader({"MINUTES": value})
    assert reader.number("MINUTES", 5, 10) == 5
    expected = "Set it to a number above 0 and up to 10 (the default is 5)."
    assert f"MINUTES is '{value}'. {expected}" in problems(reader)


@pytest.mark.parametrize("value", ["0", "1.5", "01", "10000", "\u0661"])
def test_a_count_is_a_whole_number_from_1_to_9999(value: str) -> None:
    reader = SettingsReader({"COUNT": value})
    assert reader.count("COUNT", 8) == 8
    assert "Set it to a whole number from 1 to 9999 (the default is 8)." in problems(reader)


def test_one_error_names_every_problem_once() -> None:
    reader = SettingsReader({"FORMAT": "xml"})
    reader.wrong("KEY", "key 1 or key 2")
    reader.choice("FORMAT", "json", ("json", "txt"))
    reader.choice("FORMAT", "json", ("json", "txt"))
    assert problems(reader) == (
        "App settings are wrong. KEY is missing. Set it to key 1 or key 2. FORMAT is 'xml'. Set it to one of json, txt."
    )


def test_an_unresolved_key_vault_reference_is_not_parsed() -> None:
    reader = SettingsReader({"COUNT": "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/count)"})
    assert reader.count("COUNT", 8) == 8
    message = problems(reader)
    assert "COUNT is an unresolved Key Vault reference. Check that the secret exists" in message
    assert "whole number" not in message


@pytest.mark.parametrize("value", ["simple,detailed", "nice", "Audio Files", "de_DE", "mp3", "1e308", "-1"])
def test_words_and_short_numbers_are_quoted(value: str) -> None:
    reader = SettingsReader({"FORMAT": value})
    reader.choice("FORMAT", "json", ("json", "txt"))
    assert f"FORMAT is {value!r}. Set it to one of json, txt." in problems(reader)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 21,
        "0123456789abcdef0123456789abcdef",
        "0123 4567 89ab cdef",
        "user@host",
        "c2VjcmV0",
        "aBcDeFgH",
        "a?b",
        "a=b",
        "a;b",
        "a%20b",
        "sig=c2VjcmV0",
    ],
)
def test_a_value_that_may_be_a_secret_is_only_described(value: str) -> None:
    reader = SettingsReader({"COUNT": value})
    reader.count("COUNT", 8)
    assert f"COUNT is wrong ({len(value)} characters, not shown). Set" in problems(reader)


def test_a_confidential_value_is_only_described_by_its_check() -> None:
    def refuse(value: str) -> str:
        raise ValueError("has a space at position 6. Remove it.")

    reader = SettingsReader({"KEY": "short one", "REFERENCE": "@Microsoft.KeyVault(VaultName=v)"})
    assert reader.confidential("MISSING", refuse, "nothing") == "nothing"
    assert reader.confidential("REFERENCE", refuse, "nothing") == "nothing"
    assert reader.confidential("KEY", refuse, "nothing") == "nothing"
    assert "KEY has a space at position 6. Remove it." in problems(reader)
    assert "short one" not in problems(reader)
    assert "REFERENCE has" not in problems(reader)


@pytest.mark.parametrize("value", ["0.2", "0", "-1", "nan", "5.1"])
def test_a_number_may_have_a_least_value(value: str) -> None:
    reader = SettingsReader({"SECONDS": value})
    assert reader.number("SECONDS", 0.8, 5, 0.3) == 0.8
    assert "Set it to a number from 0.3 to 5 (the default is 0.8)." in problems(reader)
