"""Storage's refusals: which of them are lost races, and the advice about the others.

The SDK derives the class of an error from its HTTP status. A 409 is a ResourceExistsError, even if no other worker was
first and a retention policy protects the blob. So the code in storage's answer decides.
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import HttpResponseError

# Another worker was first. Looking again and repeating the request helps.
RACES = frozenset(
    {
        "BlobAlreadyExists",
        "BlobOverwritten",
        "ConditionNotMet",
        "ContainerAlreadyExists",
        "TargetConditionNotMet",
    }
)

PASSING = frozenset({"ContainerBeingDeleted"})  # of ADVICE; may be over within a minute, without anyone's help

_LEASE = "Someone holds a lease on the blob. Break the lease, or wait until it ends."
_ARCHIVE = (
    "The blob is in the archive tier and cannot be read. Rehydrate it to Hot or Cool, which takes up to 15 hours."
)
_DISABLED = "An administrator has disabled access. Ask the administrator of the storage account to enable it."
_SAS = "The SAS in AudioStorage excludes this request. Create one that allows blobs, containers, objects and queues."
_VAULT = "The account cannot get its encryption key from the key vault. Restore the key, the vault or the access to it."

ADVICE = {
    "LeaseIdMissing": _LEASE,
    "LeaseIdMismatchWithBlobOperation": _LEASE,
    "BlobImmutableDueToPolicy": (
        "The container has a retention policy, so this blob cannot be overwritten or deleted. Remove the policy, or"
        " name another container in TRANSCRIPT_CONTAINER."
    ),
    "BlobImmutableDueToLegalHold": (
        "The container has a legal hold, so this blob cannot be overwritten or deleted. Clear the hold, or name another"
        " container in TRANSCRIPT_CONTAINER."
    ),
    "SnapshotsPresent": "The blob has snapshots, so it cannot be deleted. Delete the snapshots.",
    "ContainerBeingDeleted": (
        "The container is being deleted, so none with this name can be created. Wait until the deletion is complete."
    ),
    "ContainerDisabled": _DISABLED,
    "AccountIsDisabled": _DISABLED,
    "InsufficientAccountPermissions": _DISABLED,
    "BlobArchived": _ARCHIVE,
    "BlobBeingRehydrated": "The blob is leaving the archive tier and cannot be read yet. Wait up to 15 hours.",
    "BlobUsesCustomerSpecifiedEncryption": (
        "The blob is encrypted with a key of its uploader. Upload it again without such a key."
    ),
    "KeyVaultAccessTokenCannotBeAcquired": _VAULT,
    "KeyVaultEncryptionKeyNotFound": _VAULT,
    "KeyVaultVaultNotFound": _VAULT,
    "InvalidBlobType": "The blob is a page blob or an append blob. Delete it, or upload it again as a block blob.",
    "ResourceTypeMismatch": "A folder has the name of this blob. Rename or delete the folder.",
    "AuthorizationPermissionMismatch": (
        "The app lacks a permission. Give its identity the role Storage Blob Data Contributor (for queues: Storage"
        " Queue Data Contributor), or use a SAS that allows reading, listing, creating, writing and deleting."
    ),
    "AuthorizationFailure": (
        "The app may not do this. Check the network rules of the storage account, and the key or SAS in AudioStorage."
    ),
    "AuthenticationFailed": "The key or SAS in AudioStorage is wrong, or the SAS has expired. Set a new one.",
    "KeyBasedAuthenticationNotPermitted": (
        "The account allows no keys. Use a managed identity: set AudioStorage__blobServiceUri and"
        " AudioStorage__queueServiceUri in place of AudioStorage."
    ),
    "AuthorizationProtocolMismatch": _SAS,
    "AuthorizationResourceTypeMismatch": _SAS,
    "AuthorizationServiceMismatch": _SAS,
    "AuthorizationSourceIPMismatch": _SAS,
    "UnauthorizedBlobOverwrite": "The SAS in AudioStorage allows new blobs only. Create one that also allows writing.",
}


def code_of(error: Exception) -> str:
    """Return the code in storage's answer, such as `LeaseIdMissing`, or an empty string if there is none."""
    code = getattr(error, "error_code", None)  # set by the storage SDK, as an enum if it knows the code
    return str(getattr(code, "value", code) or "")


def is_lost_race(error: Exception) -> bool:
    """Tell whether the request failed because another worker was first."""
    return code_of(error) in RACES


@contextmanager
def ignored_if_race_lost() -> Iterator[None]:
    """Ignore that another worker was first. Other errors pass through."""
    try:
        yield
    except HttpResponseError as error:
        if not is_lost_race(error):
            raise


def is_lasting(error: Exception) -> bool:
    """Tell whether the request would fail again a minute later, because a person must act first."""
    return code_of(error) in ADVICE.keys() - PASSING


def advice(error: Exception) -> str | None:
    """Return the cause of a refusal and what to do about it, or None if it is unknown."""
    return ADVICE.get(code_of(error))
