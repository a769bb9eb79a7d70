"""The app settings about the Speech service: where it is, how to authenticate to it, and what to ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from transcription import locales
from transcription.settings.confidential import extra_query, speech_key
from transcription.settings.endpoint import Endpoint
from transcription.settings.models import Models
from transcription.settings.reader import SettingsReader

PROFANITY = ("masked", "removed", "raw")


@dataclass(frozen=True)
class SpeechSettings:
    """The Speech endpoint, how to authenticate to it, and the default options of requests."""

    endpoint: Endpoint
    key: str = field(repr=False)
    auth: str
    models: Models = field(repr=False)
    extra_query: tuple[tuple[str, str], ...] = field(repr=False)
    language: str
    profanity: str
    detailed: bool
    audio_format: str
    word_times: bool
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
    if reader.text("AZURE_SPEECH_KEY") is None:
        reader.wrong("AZURE_SPEECH_KEY", "key 1 or key 2 of the Speech resource")
    return SpeechSettings(
        endpoint=_read_endpoint(reader),
        key=reader.confidential("AZURE_SPEECH_KEY", speech_key, ""),
        auth=reader.choice("AZURE_SPEECH_AUTH", "key", ("key", "token")),
        models=reader.confidential("AZURE_SPEECH_ENDPOINT_ID", Models.parse, Models()),
        extra_query=reader.confidential("AZURE_SPEECH_QUERY", extra_query, ()),
        language=reader.parsed("SPEECH_LANGUAGE", _locale, "en-US"),
        profanity=reader.choice("SPEECH_PROFANITY", "masked", PROFANITY),
        detailed=reader.choice("SPEECH_FORMAT", "detailed", ("simple", "detailed")) == "detailed",
        audio_format=reader.choice("SPEECH_AUDIO_FORMAT", "wav", ("wav", "ogg")),
        word_times=reader.choice("SPEECH_WORD_TIMES", "true", ("true", "false")) == "true",
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
