"""Every error that ends in a document has a code, and the schema lists it."""

import inspect

from tests.support.app import SCHEMA
from transcription import errors
from transcription.errors import TranscriptionError

CLASSES = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, errors.TranscriptionError)
]
CODES = [error.code for error in CLASSES if error.code]


def test_only_the_two_errors_of_an_abandoned_upload_share_a_code() -> None:
    assert sorted(CODES) == sorted([*set(CODES), "Abandoned"])


def test_the_schema_lists_every_code() -> None:
    assert set(CODES) <= set(SCHEMA["$defs"]["error"]["properties"]["code"]["enum"])


def test_every_final_error_has_a_code_and_forbids_another_try() -> None:
    final = [error for error in CLASSES if issubclass(error, errors.Final) and error is not errors.Final]
    assert final
    for error in final:
        assert error.code == error.__name__.removesuffix("ForGood")
        assert not error.try_again


def test_errors_that_somebody_else_can_fix_ask_for_another_try() -> None:
    fixable: list[type[TranscriptionError]] = [
        errors.Misconfigured,
        errors.UploadUnreadable,
        errors.Exhausted,
        errors.Abandoned,
    ]
    assert all(error.code and error.try_again for error in fixable)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    for error in CLASSES:
        assert f" {error.__name__}" in str(errors.__doc__)
