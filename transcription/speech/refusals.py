"""Turns an answer other than 200 into the error that says who can help.

A 400 is not always about the audio. The service answers `Invalid CID or language` (MicrosoftDocs/azure-docs#23489) to a
wrong language or a deleted model, and `Unsupported audio format` (cognitive-services-speech-sdk#387, #464) to a wrong
file. The first is fixed by the deployer or by the upload's metadata, the second by nobody.
"""

import re
from dataclasses import dataclass

from transcription.errors import Misconfigured, Refused, RequestRefused, Retryable, TranscriptionError, UnknownLanguage
from transcription.settings.endpoint import TOKEN_PATH, origin
from transcription.settings.speech import IDENTITY, SpeechSettings
from transcription.speech.failures import is_retryable

NO_ROOM = (429, 503)  # statuses that say that the service has no room for the request now

_ABOUT_LANGUAGE = re.compile(r"\bcid\b|language|locale|\bmodel\b", re.IGNORECASE)
_ABOUT_AUDIO = re.compile(r"audio|format|\b(?:wave?|riff|ogg|opus|codec|header|content)\b|pronunciation", re.IGNORECASE)

CHECK_KEY = "Check that AZURE_SPEECH_KEY is right and belongs to this region or endpoint."
USE_IDENTITY = "Set AZURE_SPEECH_AUTH to identity and AZURE_SPEECH_RESOURCE_ID to the resource's id: it forbids keys."
CHECK_ROLE = (
    "Give the app's identity the role Cognitive Services Speech User on the Speech resource, which needs a custom"
    " subdomain, and check AZURE_SPEECH_RESOURCE_ID and AZURE_SPEECH_REGION. A new role takes effect within minutes."
)
CHECK_TOKENS = (
    "Or set AZURE_SPEECH_AUTH to key: a resource with a custom domain issues tokens only if it allows all networks."
)
CHECK_REGION = (
    "Short audio answers at the region's address, unless the resource has a private endpoint. Set AZURE_SPEECH_REGION,"
    " and remove AZURE_SPEECH_ENDPOINT."
)


@dataclass(frozen=True)
class Refusal:
    """An answer other than 200. `explanation` is what it says, without our secrets."""

    status: int
    explanation: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Asked:
    """The parts of a request that a 400 may be about.

    from_upload: the upload named the language, rather than a setting.
    answered: the service has answered this language and model before, in this process.
    """

    language: str
    model_id: str | None
    from_upload: bool
    answered: bool


def recognition_error(refusal: Refusal, settings: SpeechSettings, asked: Asked) -> TranscriptionError:
    """Return the error for a refused recognition.

    Refused if the service has no room, and Retryable if another try may help. Misconfigured if the key, the endpoint,
    the model or the default language is wrong. UnknownLanguage if the upload's language is. Else RequestRefused.
    """
    status, endpoint = refusal.status, settings.endpoint
    is_redirect = 300 <= status < 400
    answered = f"{endpoint.base} answered {status}{', a redirect to ' if is_redirect else ': '}{refusal.explanation}"
    if is_retryable(status):
        kind = Refused if status in NO_ROOM else Retryable
        return kind(answered, refusal.retry_after)
    if status in (401, 403):
        advice = CHECK_ROLE if settings.auth == IDENTITY else CHECK_KEY
        if "authentication is disabled" in refusal.explanation:
            advice = USE_IDENTITY
        return Misconfigured(f"The {settings.auth} was refused. {answered}. {advice}")
    if status == 404 or is_redirect:
        advice = CHECK_REGION if status == 404 and not endpoint.is_regional else "Check AZURE_SPEECH_ENDPOINT."
        return Misconfigured(f"There is no Speech service at this address. {answered}. {advice}")
    if status == 400 and _is_about_language(refusal.explanation, asked):
        return _language_error(answered, asked)
    return RequestRefused(f"The service refused the audio or its options. {answered}.")


def token_error(refusal: Refusal, url: str) -> TranscriptionError:
    """Return the error for a token that could not be fetched from this URL: Retryable or Misconfigured."""
    answered = f"{origin(url)}{TOKEN_PATH} answered {refusal.status}: {refusal.explanation}"
    if is_retryable(refusal.status):
        return Retryable(answered, refusal.retry_after)
    failed = "The key was refused." if refusal.status == 401 else "No token could be fetched with the key."
    return Misconfigured(f"{failed} {answered}. {CHECK_KEY} {CHECK_TOKENS}")


def _is_about_language(explanation: str, asked: Asked) -> bool:
    """Tell whether a 400 is about the language or the model.

    It is if it says so. If it says nothing that is known, it is unless the service has answered the same before.
    """
    if _ABOUT_LANGUAGE.search(explanation):
        return True
    return not (_ABOUT_AUDIO.search(explanation) or asked.answered)


def _language_error(answered: str, asked: Asked) -> TranscriptionError:
    language = f"{asked.language!r:.40}"
    if asked.model_id:
        return Misconfigured(
            f"The service refused a request with the custom model and the language {language}. {answered}. Check that"
            " the model of AZURE_SPEECH_ENDPOINT_ID is deployed in this resource and has this language."
        )
    if asked.from_upload:
        return UnknownLanguage(
            f"The service refused a request with the language {language} of this upload. {answered}. Set the metadata's"
            " language, or the first folder, to a locale that the service's region supports."
        )
    return Misconfigured(
        f"The service refused a request with the language {language}. {answered}. Check SPEECH_LANGUAGE."
    )
