"""Refusals of storage that are no lost races name their cause and what to do."""

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError

from tests.support.refusing_storage import StorageError, refusing_storage, shared_key
from tests.support.settings import app_settings
from transcription.settings.app import StorageSettings
from transcription.storage.account import connect, reason
from transcription.storage.refusals import (
    ADVICE,
    PASSING,
    RACES,
    advice,
    code_of,
    ignored_if_race_lost,
    is_lasting,
    is_lost_race,
)
from transcription.storage.transcripts import StoredDocument, Transcripts

WORDS = {"status": "Succeeded", "source": {"etag": "0x1"}}


def refused(status: int, code: str) -> HttpResponseError:
    """Return the SDK's error for a document that storage refuses with this status and code."""
    with refusing_storage({"PUT": (status, code)}) as url:
        settings = StorageSettings.read(app_settings(AudioStorage=shared_key(url)))
        with pytest.raises(HttpResponseError) as caught:
            Transcripts(connect(settings), settings).write("a b.wav", WORDS, {}, StoredDocument(None))
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (403, "AuthorizationPermissionMismatch", "lacks a permission"),
        (403, "AuthenticationFailed", "wrong"),
        (409, "BlobImmutableDueToPolicy", "retention policy"),
        (409, "BlobImmutableDueToLegalHold", "legal hold"),
        (409, "ContainerDisabled", "administrator"),
        (409, "SnapshotsPresent", "snapshots"),
        (412, "LeaseIdMissing", "lease"),
    ],
)
def test_a_refusal_names_the_blob_the_cause_and_what_to_do(status: int, code: str, cause: str) -> None:
    error = refused(status, code)
    assert (is_lost_race(error), is_lasting(error)) == (False, True)
    assert reason(error) == f"Storage says no. ({status} {code}) at '/a/transcripts/a b.wav.json'. {advice(error)}"
    assert cause in ADVICE[code]


def test_a_conflict_that_is_unknown_is_no_lost_race_and_has_no_advice() -> None:
    error = refused(409, "SomethingNew")
    assert isinstance(error, ResourceExistsError)
    assert (is_lost_race(error), is_lasting(error), advice(error)) == (False, False, None)
    assert reason(error) == "Storage says no. (409 SomethingNew)"


def test_a_container_that_is_being_deleted_has_advice_but_may_be_gone_within_a_minute() -> None:
    error = refused(409, "ContainerBeingDeleted")
    assert (is_lost_race(error), is_lasting(error)) == (False, False)
    assert "Wait" in reason(error)


def test_no_code_is_both_a_lost_race_and_a_refusal_with_advice() -> None:
    assert not RACES & ADVICE.keys()
    assert ADVICE.keys() > PASSING


@pytest.mark.parametrize("code", sorted(ADVICE))
def test_advice_is_two_sentences_or_more_the_cause_and_the_remedy(code: str) -> None:
    assert ADVICE[code].count(". ") >= 1
    assert ADVICE[code].endswith(".")


def test_an_error_without_an_answer_has_no_code() -> None:
    error = ValueError("cut")
    assert (code_of(error), is_lost_race(error), is_lasting(error), advice(error)) == ("", False, False, None)


def test_only_a_lost_race_is_ignored() -> None:
    error = StorageError("no")
    error.error_code = "ConditionNotMet"
    with ignored_if_race_lost():
        raise error
    error.error_code = "LeaseIdMissing"
    with pytest.raises(StorageError), ignored_if_race_lost():
        raise error
