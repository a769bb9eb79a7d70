"""The app settings about the Speech service: where it is, how to authenticate to it, and what to ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from transcription import locales
from transcription.settings.confidential import extra_query, resource_id, speech_key
from transcription.settings.endpoint import Endpoint
from transcription.settings.models import Models
from transcription.settings.reader import SettingsReader

PROFANITY = ("masked", "removed", "raw")
KEY, TOKEN, IDENTITY = "key", "token", "identity"  # ways to authenticate
LEAST_PAUSE = 0.3  # seconds; shorter silence may be within a word
MOST_PAUSE = 5.0  # seconds; the longest that the service can be asked to wait for more speech


@dataclass(frozen=True)
class SpeechSettings:
    """The Speech endpoint, how to authenticate to it, and the default options of requests.

    key: empty if `auth` is `identity`. resource_id: empty otherwise. client_id: names a user-assigned identity.
    pause_seconds: the longest pause within a clip.
    """

    endpoint: Endpoint
    key: str = field(repr=False)
    auth: str
    resource_id: str = field(repr=False)
    client_id: str | None = field(repr=False)
    models: Models = field(repr=False)
    extra_query: tuple[tuple[str, str], ...] = field(repr=False)
    language: str
    profanity: str
    detailed: bool
    audio_format: str
    word_times: bool
    pause_seconds: float
    max_concurrent_requests: int

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "SpeechSettings":
        """Return the settings.

        Raises Misconfigured if some are missing or wrong. The error names each and says what to set it to.
        """
        reader = SettingsReader(environ)
        settings = read_speech(reader)
        reader.finish()
        return settings


def read_speech(reader: SettingsReader) -> SpeechSettings:
    """Return the settings. What is wrong is noted in `reader`."""
    auth = reader.choice("AZURE_SPEECH_AUTH", KEY, (KEY, TOKEN, IDENTITY))
    key, resource = reader.text("AZURE_SPEECH_KEY"), reader.text("AZURE_SPEECH_RESOURCE_ID")
    if key is None and auth != IDENTITY:
        reader.wrong("AZURE_SPEECH_KEY", "key 1 or key 2 of the Speech resource, or set AZURE_SPEECH_AUTH to identity")
    if resource is None and auth == IDENTITY:
        reader.wrong("AZURE_SPEECH_RESOURCE_ID", "the Speech resource's id, which begins with /subscriptions/")
    return SpeechSettings(
        endpoint=_read_endpoint(reader),
        key=reader.confidential("AZURE_SPEECH_KEY", speech_key, ""),
        auth=auth,
        resource_id=reader.confidential("AZURE_SPEECH_RESOURCE_ID", resource_id, ""),
        client_id=reader.text("AudioStorage__clientId"),
        models=reader.confidential("AZURE_SPEECH_ENDPOINT_ID", Models.parse, Models()),
        extra_query=reader.confidential("AZURE_SPEECH_QUERY", extra_query, ()),
        language=reader.parsed("SPEECH_LANGUAGE", _locale, "en-US"),
        profanity=reader.choice("SPEECH_PROFANITY", "masked", PROFANITY),
        detailed=reader.choice("SPEECH_FORMAT", "detailed", ("simple", "detailed")) == "detailed",
        audio_format=reader.choice("SPEECH_AUDIO_FORMAT", "wav", ("wav", "ogg")),
        word_times=reader.choice("SPEECH_WORD_TIMES", "true", ("true", "false")) == "true",
        pause_seconds=reader.number("SPEECH_PAUSE_SECONDS", 0.8, MOST_PAUSE, LEAST_PAUSE),
        max_concurrent_requests=reader.count("SPEECH_MAX_CONCURRENT_REQUESTS", 64),
    )


def _read_endpoint(reader: SettingsReader) -> Endpoint:
    """Return the endpoint if it is set, else the region's. If neither is set, the error names both."""
    unknown = Endpoint("", "", "")
    if reader.text("AZURE_SPEECH_ENDPOINT"):
        return reader.confidential("AZURE_SPEECH_ENDPOINT", Endpoint.of_address, unknown)
    if reader.text("AZURE_SPEECH_REGION"):
        return reader.confidential("AZURE_SPEECH_REGION", Endpoint.of_region, unknown)
    expected = "the Speech resource's region, such as westeurope, or set AZURE_SPEECH_ENDPOINT instead"
    reader.wrong("AZURE_SPEECH_REGION", expected)
    return unknown


def _locale(value: str) -> str:
    if not locales.well_formed(value):
        raise ValueError("a locale such as en-US")
    return locales.canonical(value) or value
