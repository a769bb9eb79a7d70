"""Reads the options of one upload from its metadata and name, and checks its size."""

from transcription import locales
from transcription.errors import EmptyUpload, InvalidOption, TooLarge, UnknownLanguage
from transcription.settings.app import MEGABYTE, Limits
from transcription.settings.speech import PROFANITY, SpeechSettings
from transcription.speech import pronunciation
from transcription.speech.client import RecognitionOptions
from transcription.storage.uploads import UploadProperties


def check_size(upload: UploadProperties, limits: Limits) -> None:
    """Check the upload's size before any of it is read.

    Raises EmptyUpload if it has no bytes, and TooLarge if it has too many.
    """
    if upload.size == 0:
        raise EmptyUpload("The upload has no bytes. Upload the recording again.")
    if upload.size > limits.upload_bytes:
        size, limit = (f"{count / MEGABYTE:.1f} MB" for count in (upload.size, limits.upload_bytes))
        raise TooLarge(f"The upload has {size}. The limit is {limit} (MAX_AUDIO_MEGABYTES). Upload it in parts.")


def recognition_options(upload: UploadProperties, defaults: SpeechSettings) -> RecognitionOptions:
    """Return the options of this recording.

    Raises UnknownLanguage or InvalidOption if its metadata asks for something unsupported.
    """
    language = _language(upload, defaults.language)
    assessment = pronunciation.requested(upload.metadata)
    if assessment:
        pronunciation.check_supported(assessment, language, us_government=defaults.endpoint.is_us_government)
    return RecognitionOptions(
        language,
        _profanity(upload, defaults.profanity),
        assessment,
        language_from_upload=language != defaults.language,
    )


def _language(upload: UploadProperties, default: str) -> str:
    """Return the metadata's language, or the first folder's name if it is a locale, or the default."""
    folder, slash, _ = upload.name.partition("/")
    requested = upload.metadata.get("language", "").strip()
    if not requested:
        return (locales.canonical(folder) if slash else None) or default
    if requested.casefold() == default.casefold():
        return default  # it may be newer than the list
    if locale := locales.canonical(requested):
        return locale
    raise UnknownLanguage(
        f"The metadata asks for language {requested!r:.40}, which is not a supported locale. Use one such as en-US."
    )


def _profanity(upload: UploadProperties, default: str) -> str:
    requested = upload.metadata.get("profanity", "").strip().casefold() or default
    if requested not in PROFANITY:
        raise InvalidOption(f"The metadata asks for profanity {requested!r:.40}. Use one of {', '.join(PROFANITY)}.")
    return requested
