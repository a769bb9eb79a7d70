"""What can go wrong, and for each case whether trying again may help.

    TranscriptionError
    ├── Final                  this upload will never do: a `Failed` document, no retry
    │   ├── EmptyUpload
    │   ├── UnsupportedAudio
    │   ├── TooLarge
    │   ├── TooLong
    │   ├── TooLongForPronunciation
    │   ├── NothingRecognized
    │   ├── UnknownLanguage
    │   ├── InvalidOption
    │   └── RequestRefused
    ├── Misconfigured          the app must be put right, then the upload delivered again
    ├── Retryable              may pass by itself: waited out within the recording's budget
    ├── Exhausted              did not pass within the budget
    ├── Abandoned              the host gave it up, and nobody said why
    ├── StorageFailed          storage is down or refuses us: the host tries again
    └── UploadChanged          not the upload any more that we started with
        ├── UploadReplaced
        └── UploadGone

Messages are written for the person who uploaded or the one on call. They go into logs and documents, so they never
hold a secret.
"""

from typing import ClassVar


class TranscriptionError(Exception):
    """Base of all. `code` is the document's `error.code`, `try_again` its `error.tryAgain`."""

    code: ClassVar[str] = ""
    try_again: ClassVar[bool] = False


class Final(TranscriptionError):
    """Ends as a `Failed` document; another try would end the same way."""


class EmptyUpload(Final):
    code = "EmptyUpload"


class UnsupportedAudio(Final):
    code = "UnsupportedAudio"


class TooLarge(Final):
    code = "TooLarge"


class TooLong(Final):
    code = "TooLong"


class TooLongForPronunciation(Final):
    code = "TooLongForPronunciation"


class NothingRecognized(Final):
    code = "NothingRecognized"


class UnknownLanguage(Final):
    code = "UnknownLanguage"


class InvalidOption(Final):
    code = "InvalidOption"


class RequestRefused(Final):
    code = "RequestRefused"


class Misconfigured(TranscriptionError):
    code = "Configuration"
    try_again = True


class Retryable(TranscriptionError):
    """`retry_after` is what the service asked us to wait, in seconds, where it said so."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Exhausted(TranscriptionError):
    code = "Exhausted"
    try_again = True


class Abandoned(TranscriptionError):
    code = "Abandoned"
    try_again = True


class StorageFailed(TranscriptionError):
    """In place of the storage SDK's own error, which repeats what it was answered."""


class UploadChanged(TranscriptionError):
    """Nothing failed: there is just another thing to do, or nothing."""


class UploadReplaced(UploadChanged):
    """Other content lies under the name now; the transcript has to be the new content's."""


class UploadGone(UploadChanged):
    """The blob was deleted: nothing is left to do."""
