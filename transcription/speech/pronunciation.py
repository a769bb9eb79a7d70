"""Pronunciation assessment: what a recording's metadata asks for → the header that asks the service for it.

The parameters are those of the API's reference ("Pronunciation assessment parameters") and of Microsoft's own samples
for it. They are checked here because the service ignores what it does not understand, and an uploader would look for
scores that never come.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from transcription.errors import InvalidOption

HEADER = "Pronunciation-Assessment"
LONGEST_ASSESSED = 30.0  # seconds in one request, which is all there may be: scores of parts cannot be joined

_REFERENCE_TEXT = "ReferenceText"
_SWITCH = ("False", "True")
_CHOICES = {
    "GradingSystem": ("FivePoint", "HundredMark"),
    "Granularity": ("Phoneme", "Word", "FullText"),
    "Dimension": ("Basic", "Comprehensive"),
    "EnableMiscue": _SWITCH,
    "EnableProsodyAssessment": _SWITCH,
    "PhonemeAlphabet": ("SAPI", "IPA"),
}
_FORMS = {"NBestPhonemeCount": (r"[1-9][0-9]?", "a whole number from 1"), "ScenarioId": (r"[\w-]{1,64}", "a GUID")}
_SPELLED = {name.casefold(): name for name in (_REFERENCE_TEXT, *_CHOICES, *_FORMS)}


def requested(metadata: Mapping[str, str]) -> dict[str, str] | None:
    """The header's parameters that `reference_text` or `pronunciation` ask for, both percent-encoded; None without.

    InvalidOption: they ask for what there is not.
    """
    text, parameters = (metadata.get(name, "").strip() for name in ("reference_text", "pronunciation"))
    if text and parameters:
        raise InvalidOption(
            "The metadata has both reference_text and pronunciation: set one of them. The text can be the latter's "
            f"{_REFERENCE_TEXT}."
        )
    if text:
        return _checked({_REFERENCE_TEXT: _decoded("reference_text", text)})
    return _checked(_object(_decoded("pronunciation", parameters))) if parameters else None


def header(parameters: Mapping[str, str]) -> str:
    """The value of HEADER: base64 of JSON in UTF-8."""
    return base64.b64encode(json.dumps(parameters, ensure_ascii=False).encode()).decode()


def _decoded(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise InvalidOption(f"The metadata's {name} is not percent-encoded UTF-8.") from None


def _object(text: str) -> dict[str, Any]:
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise InvalidOption(
            "The metadata's pronunciation is no percent-encoded JSON object such as %7B%22ReferenceText%22:%22Hi%22%7D."
        )
    return parameters


def _checked(given: Mapping[str, Any]) -> dict[str, str]:
    """The parameters as the service spells them."""
    checked: dict[str, str] = {}
    for name, value in given.items():
        spelled = _SPELLED.get(name.casefold())
        if spelled is None:
            known = ", ".join(_SPELLED.values())
            raise InvalidOption(f"There is no pronunciation parameter {name!r:.40}: it may be {known}.")
        checked[spelled] = _value(spelled, value)
    if _REFERENCE_TEXT not in checked:
        raise InvalidOption(f"The metadata's pronunciation lacks {_REFERENCE_TEXT}, the text that was to be read.")
    return checked


def _value(name: str, value: Any) -> str:
    text = value.strip() if isinstance(value, str) else json.dumps(value)  # true and "True" are both in use
    if name == _REFERENCE_TEXT:
        if not isinstance(value, str) or not text:
            raise InvalidOption(f"The pronunciation parameter {name} has no text.")
        return text
    if name in _FORMS:
        form, may_be = _FORMS[name]
        if re.fullmatch(form, text):
            return text
    else:
        may_be = ", ".join(_CHOICES[name])
        for choice in _CHOICES[name]:
            if choice.casefold() == text.casefold():
                return choice
    raise InvalidOption(f"The pronunciation parameter {name} is {text!r:.40}: it may be {may_be}.")
