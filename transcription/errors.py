"""The errors of this package. Their classes say who can help: the uploader, the deployer, another try or the host.

    TranscriptionError
    ├── Final                  this upload can never succeed: a `Failed` document, no retry
    │   ├── EmptyUpload
    │   ├── UnsupportedAudio
    │   ├── TooLarge
    │   ├── TooLong
    │   ├── TooLongForPronunciation
    │   ├── NothingRecognized
    │   ├── UnknownLanguage
    │   ├── InvalidOption
    │   ├── RequestRefused
    │   └── AbandonedForGood
    ├── Misconfigured          the deployer must fix the app, then the upload is tried again
    │   └── UploadUnreadable   or give the app access to this upload
    ├── Retryable              may be temporary: retried within the recording's budget
    │   └── Refused            the service has no room for the request
    ├── Exhausted              such a failure lasted longer than the budget
    ├── Abandoned              the host gave up on the upload, and no document says why
    ├── StorageFailed          storage is down or refuses access: the host tries again
    ├── Claimed                another worker is at work on the upload: look again later
    │   └── ClaimLost          it took the upload over: stop, and write nothing
    └── UploadChanged          the upload is no longer the one that the work began with
        ├── UploadReplaced
        └── UploadGone

`speech/client.py` decides which error an HTTP answer is. `attempt.py` decides what then happens.

Messages are written for the person who uploaded or the one on call, and go into logs and documents. Keep secrets out of
messages: see `speech/failures.py`, `settings/reader.py` and `storage/account.py`.
"""

from typing import ClassVar


class TranscriptionError(Exception):
    """The base class of all errors here. `code` is the document's `error.code`, `try_again` its `error.tryAgain`."""

    code: ClassVar[str] = ""
    try_again: ClassVar[bool] = False


class Final(TranscriptionError):
    """An error that would recur with every further try."""


class EmptyUpload(Final):
    code = "EmptyUpload"


class UnsupportedAudio(Final):
    """The upload is damaged, has no audio, or has a format that cannot be decoded."""

    code = "UnsupportedAudio"


class TooLarge(Final):
    """The upload has more bytes than MAX_AUDIO_MEGABYTES allows."""

    code = "TooLarge"


class TooLong(Final):
    """The recording lasts longer than MAX_AUDIO_MINUTES allows."""

    code = "TooLong"


class TooLongForPronunciation(Final):
    code = "TooLongForPronunciation"


class NothingRecognized(Final):
    """There is speech, but the service understood no word of the language."""

    code = "NothingRecognized"


class UnknownLanguage(Final):
    code = "UnknownLanguage"


class InvalidOption(Final):
    """The upload's metadata asks for something unsupported."""

    code = "InvalidOption"


class RequestRefused(Final):
    """The service refused the audio or its options."""

    code = "RequestRefused"


class AbandonedForGood(Final):
    """Every try ended without any answer, so the app stops trying by itself."""

    code = "Abandoned"


class Misconfigured(TranscriptionError):
    """A setting, the key or the endpoint is wrong."""

    code = "Configuration"
    try_again = True


class UploadUnreadable(Misconfigured):
    """Storage has the upload, but does not let the app read it. It may be archived, for example."""

    code = "UploadUnreadable"


class Retryable(TranscriptionError):
    """A failure that may be temporary. `retry_after` is the wait in seconds that the service asked for, if any."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Retryable):
    """The service has no room for another request now (429 and 503)."""


class Exhausted(TranscriptionError):
    """The recording's time ran out. It makes sense to try again after `wait` seconds."""

    code = "Exhausted"
    try_again = True

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Abandoned(TranscriptionError):
    code = "Abandoned"
    try_again = True


class StorageFailed(TranscriptionError):
    """Replaces the storage SDK's own error, which quotes the answer and so may hold a secret."""


class Claimed(TranscriptionError):
    """Another worker is at work on the upload."""


class ClaimLost(Claimed):
    """Another worker has taken the upload over, or has finished it."""


class UploadChanged(TranscriptionError):
    """Not a failure: the work starts again with the new content, or ends."""


class UploadReplaced(UploadChanged):
    """The name now has other content, so the transcript must be made from that."""


class UploadGone(UploadChanged):
    """The blob was deleted, so nothing is left to do."""
