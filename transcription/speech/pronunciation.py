"""Turns a recording's metadata into the header that requests a pronunciation assessment.

The parameters are those of the API's reference ("Pronunciation assessment parameters") and of Microsoft's samples. They
are checked here because the service ignores parameters that it does not understand. Without the check, the uploader
would get no scores and no reason.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from transcription import locales
from transcription.errors import InvalidOption

HEADER = "Pronunciation-Assessment"
MAX_ASSESSED_SECONDS = 30.0  # seconds; the limit of one request, and scores of several cannot be joined

PROSODY_LANGUAGE = "en-US"  # the only locale whose intonation and rhythm are scored

_REFERENCE_TEXT = "ReferenceText"
_PROSODY = "EnableProsodyAssessment"
_SWITCH = ("False", "True")
_CHOICES = {
    "GradingSystem": ("FivePoint", "HundredMark"),
    "Granularity": ("Phoneme", "Word", "FullText"),
    "Dimension": ("Basic", "Comprehensive"),
    "EnableMiscue": _SWITCH,
    _PROSODY: _SWITCH,
    "PhonemeAlphabet": ("SAPI", "IPA"),
}
_PATTERNS = {
    "NBestPhonemeCount": (r"[1-9][0-9]?", "a whole number from 1 to 99"),
    "ScenarioId": (r"[\w-]{1,64}", "a GUID"),
}
_SPELLINGS = {name.casefold(): name for name in (_REFERENCE_TEXT, *_CHOICES, *_PATTERNS)}


def requested(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """Return the parameters that the metadata requests, or None if it requests no assessment.

    `reference_text` is plain text. `pronunciation` is a JSON object of parameters. Both are percent-encoded.
    Raises InvalidOption if they cannot be read or are not supported.
    """
    text, parameters = (metadata.get(name, "").strip() for name in ("reference_text", "pronunciation"))
    if text and parameters:
        raise InvalidOption(
            "The metadata has both reference_text and pronunciation. Set one of them. "
            f"To set other parameters too, put the text into pronunciation as {_REFERENCE_TEXT}."
        )
    if text:
        return _checked({_REFERENCE_TEXT: _decoded("reference_text", text)})
    return _checked(_object(_decoded("pronunciation", parameters))) if parameters else None


def check_supported(parameters: Mapping[str, str], language: str, *, us_government: bool) -> None:
    """Raise InvalidOption if the service cannot assess this language, or not in this cloud.

    The service itself would return no scores and no reason.
    """
    if us_government:
        raise InvalidOption(
            "The metadata asks for a pronunciation assessment, which Azure Government does not have. Remove"
            " reference_text and pronunciation from the metadata."
        )
    if language not in locales.ASSESSED:
        raise InvalidOption(
            f"Pronunciation assessment does not support the language {language!r:.40}. It supports"
            f" {', '.join(locales.ASSESSED)}."
        )
    if parameters.get(_PROSODY) == "True" and language != PROSODY_LANGUAGE:
        raise InvalidOption(
            f"The pronunciation parameter {_PROSODY} is for {PROSODY_LANGUAGE} only, and the language is"
            f" {language!r:.40}. Remove the parameter."
        )


def header(parameters: Mapping[str, str]) -> str:
    """Return the value of HEADER: base64 of JSON in UTF-8."""
    return base64.b64encode(json.dumps(parameters, ensure_ascii=False).encode()).decode()


def _decoded(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidOption(
            f"The metadata's {name} is not percent-encoded UTF-8. Encode it as UTF-8, then percent-encode it."
        ) from None


def _object(text: str) -> dict[str, Any]:
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise InvalidOption(
            "The metadata's pronunciation is not a percent-encoded JSON object. "
            "Use one such as %7B%22ReferenceText%22:%22Hi%22%7D."
        )
    return parameters


def _checked(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters with names and values as the service spells them."""
    checked: dict[str, str] = {}
    for given_name, value in given.items():
        name = _SPELLINGS.get(given_name.casefold())
        if name is None:
            supported = ", ".join(_SPELLINGS.values())
            raise InvalidOption(f"There is no pronunciation parameter {given_name!r:.40}. Use {supported}.")
        checked[name] = _value(name, value)
    if _REFERENCE_TEXT not in checked:
        raise InvalidOption(
            f"The metadata's pronunciation lacks {_REFERENCE_TEXT}. Set it to the text that was to be read aloud."
        )
    return checked


def _value(name: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else json.dumps(value)  # true and "True" are both in use
    if name == _REFERENCE_TEXT:
        if not isinstance(value, str) or not text:
            raise InvalidOption(
                f"The pronunciation parameter {name} has no text. Set it to the text that was to be read aloud."
            )
        return text
    if name in _PATTERNS:
        pattern, expected = _PATTERNS[name]
        if re.fullmatch(pattern, text):
            return text
    else:
        expected = "one of " + ", ".join(_CHOICES[name])
        for choice in _CHOICES[name]:
            if choice.casefold() == text.casefold():
                return choice
    raise InvalidOption(f"The pronunciation parameter {name} is {text!r:.40}. Use {expected}.")
