"""App settings → frozen objects, checked once and together.

A deployer who has three settings wrong wants to hear of three, not of the first. So every check notes its problem and
goes on, and one error at the end names them all. It is written by hand because the deployed app starts cold: the
usual libraries for this cost more to import than the rest of this package.

Three objects, since they are needed at different times: `TriggerSettings` to index the functions, which must not fail;
`StorageSettings` to write down that something is wrong; `Settings` to do the work.
"""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from transcription import locales
from transcription.errors import Misconfigured
from transcription.settings.endpoint import Endpoint
from transcription.settings.reader import SettingsReader

MEGABYTE = 1 << 20  # bytes
FUNCTION_TIMEOUT_MINUTES = 60  # as in host.json: then the host ends the process, and all that it is working on
AUDIO_CONTAINER = "audio"
TRANSCRIPT_CONTAINER = "transcripts"
EVENT_GRID, CONTAINER_SCAN = "EventGrid", "LogsAndContainerScan"
PROFANITY = ("masked", "removed", "raw")
DOCUMENT_FORMATS = ("json", "vtt", "srt", "txt")

# Query parameters that other settings decide; AZURE_SPEECH_QUERY must not contradict them.
_OWN_QUERY = {
    "language": "SPEECH_LANGUAGE",
    "format": "SPEECH_FORMAT",
    "profanity": "SPEECH_PROFANITY",
    "cid": "AZURE_SPEECH_ENDPOINT_ID",
    "wordleveltimestamps": "SPEECH_WORD_TIMES",
    "x-connectionid": "nothing: each request gets its own",
}
_CONTAINER_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriggerSettings:
    """What indexing needs. Always readable: an unknown source counts as the default, and `Settings` says what is
    wrong.
    """

    container: str
    source: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "TriggerSettings":
        source = environ.get("BLOB_TRIGGER_SOURCE", "").strip().casefold()
        return cls(
            environ.get("AUDIO_CONTAINER", "").strip() or AUDIO_CONTAINER,
            CONTAINER_SCAN if source == CONTAINER_SCAN.casefold() else EVENT_GRID,
        )


@dataclass(frozen=True)
class StorageSettings:
    """Both containers and the connection to them: a connection string, or an account's URL for the managed identity."""

    audio_container: str
    transcript_container: str
    connection_string: str | None = field(repr=False)
    account_url: str | None
    client_id: str | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "StorageSettings":
        """Misconfigured: names every missing or wrong storage setting."""
        reader = SettingsReader(environ)
        storage = _read_storage(reader)
        reader.finish()
        return storage


@dataclass(frozen=True)
class SpeechSettings:
    """Everything about the Speech endpoint and what is asked of it."""

    endpoint: Endpoint
    key: str = field(repr=False)
    auth: str
    model_id: str | None
    extra_query: tuple[tuple[str, str], ...]
    language: str
    profanity: str
    detailed: bool
    audio_format: str
    word_times: bool
    max_concurrent_requests: int


@dataclass(frozen=True)
class Limits:
    audio_seconds: float
    upload_bytes: int
    processing_seconds: float


@dataclass(frozen=True)
class Settings:
    storage: StorageSettings
    speech: SpeechSettings
    limits: Limits
    document_formats: tuple[str, ...]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Misconfigured: names every missing or wrong setting, what it was and what it may be."""
        reader = SettingsReader(environ)
        settings = cls(
            _read_storage(reader),
            _read_speech(reader),
            Limits(
                audio_seconds=60 * reader.number("MAX_AUDIO_MINUTES", 120, 24 * 60),
                upload_bytes=int(MEGABYTE * reader.number("MAX_AUDIO_MEGABYTES", 512, 1_000_000)),
                processing_seconds=60 * reader.number("MAX_PROCESSING_MINUTES", 50, FUNCTION_TIMEOUT_MINUTES - 1),
            ),
            reader.choices("TRANSCRIPT_FORMATS", ("json",), DOCUMENT_FORMATS),
        )
        reader.choice("BLOB_TRIGGER_SOURCE", EVENT_GRID, (EVENT_GRID, CONTAINER_SCAN))
        reader.finish()
        return settings


def log_wrong_settings(environ: Mapping[str, str]) -> None:
    """Says at start what is wrong; the functions are there all the same, so that no upload is dropped."""
    try:
        Settings.read(environ)
    except Misconfigured as error:
        log.error("%s Until then each upload ends as Failed/Configuration.", error)


def _read_storage(reader: SettingsReader) -> StorageSettings:
    audio = reader.parsed("AUDIO_CONTAINER", _container_name, AUDIO_CONTAINER)
    transcripts = reader.parsed("TRANSCRIPT_CONTAINER", _container_name, TRANSCRIPT_CONTAINER)
    if audio == transcripts:
        may_be = "any container but the watched one, or every transcript would be taken for an upload"
        reader.wrong("TRANSCRIPT_CONTAINER", may_be, transcripts)
    connection = reader.text("AudioStorage")
    account_url = reader.parsed("AudioStorage__blobServiceUri", _account_url, None)
    if connection is None and reader.text("AudioStorage__blobServiceUri") is None:
        reader.wrong(
            "AudioStorage", "a storage connection string, or left out where AudioStorage__blobServiceUri is set"
        )
    reader.parsed("AudioStorage", _connection_string, "")
    if connection is None and account_url and reader.text("AudioStorage__queueServiceUri") is None:
        reader.wrong(
            "AudioStorage__queueServiceUri", "the account's queue URL, which the trigger needs beside the blob URL"
        )
    return StorageSettings(audio, transcripts, connection, account_url, reader.text("AudioStorage__clientId"))


def _read_speech(reader: SettingsReader) -> SpeechSettings:
    key = reader.text("AZURE_SPEECH_KEY")
    if key is None:
        reader.wrong("AZURE_SPEECH_KEY", "key 1 or key 2 of the Speech resource")
    return SpeechSettings(
        endpoint=_read_endpoint(reader),
        key=reader.parsed("AZURE_SPEECH_KEY", _header_safe, key or ""),
        auth=reader.choice("AZURE_SPEECH_AUTH", "key", ("key", "token")),
        model_id=reader.text("AZURE_SPEECH_ENDPOINT_ID"),
        extra_query=reader.parsed("AZURE_SPEECH_QUERY", _extra_query, ()),
        language=reader.parsed("SPEECH_LANGUAGE", _locale, "en-US"),
        profanity=reader.choice("SPEECH_PROFANITY", "masked", PROFANITY),
        detailed=reader.choice("SPEECH_FORMAT", "detailed", ("simple", "detailed")) == "detailed",
        audio_format=reader.choice("SPEECH_AUDIO_FORMAT", "wav", ("wav", "ogg")),
        word_times=reader.choice("SPEECH_WORD_TIMES", "true", ("true", "false")) == "true",
        max_concurrent_requests=reader.count("SPEECH_MAX_CONCURRENT_REQUESTS", 8),
    )


def _read_endpoint(reader: SettingsReader) -> Endpoint:
    """The endpoint if it is set, else the region's; with neither, both are named."""
    nowhere = Endpoint("", "", "")
    if reader.text("AZURE_SPEECH_ENDPOINT"):
        return reader.parsed("AZURE_SPEECH_ENDPOINT", Endpoint.of_address, nowhere)
    if reader.text("AZURE_SPEECH_REGION"):
        return reader.parsed("AZURE_SPEECH_REGION", Endpoint.of_region, nowhere)
    reader.wrong(
        "AZURE_SPEECH_REGION", "the Speech resource's region, such as westeurope (or set AZURE_SPEECH_ENDPOINT)"
    )
    return nowhere


def _header_safe(value: str) -> str:
    """A key travels in a header: a line break pasted with it would end there."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("a key as the portal shows it, without spaces or line breaks inside")
    return value


def _container_name(value: str) -> str:
    if not _CONTAINER_NAME.fullmatch(value):
        raise ValueError("a container's name: 3 to 63 lower-case letters, digits and single hyphens")
    return value


def _connection_string(value: str) -> str:
    """Checked as far as the SDK would, but now: else each upload would raise, and leave no document."""
    from azure.core.utils import parse_connection_string  # 25 ms that an app with a managed identity does not need

    if value.startswith("UseDevelopmentStorage"):
        raise ValueError("Azurite's whole connection string: the Python SDK does not know the short one")
    try:
        parts = parse_connection_string(value)
        base64.b64decode(parts.get("accountkey", ""), validate=True)
    except ValueError:
        parts = {}
    proof = parts.get("accountkey") or parts.get("sharedaccesssignature")
    if not proof or not (parts.get("accountname") or parts.get("blobendpoint")):
        raise ValueError("a storage connection string as the portal shows it, or AudioStorage__blobServiceUri instead")
    return value


def _account_url(value: str) -> str:
    if not re.fullmatch(r"https://[^/?#@]+/?|http://(127\.0\.0\.1|localhost)[:/][^?#@]*", value):
        raise ValueError("an https URL such as https://<account>.blob.core.windows.net")
    return value


def _locale(value: str) -> str:
    if not locales.well_formed(value):
        raise ValueError("a locale such as en-US")
    return locales.known(value) or value


def _extra_query(value: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = tuple(parse_qsl(value, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise ValueError("parameters of the form name=value&name=value, percent-encoded") from None
    for name, _ in pairs:
        if decided_by := _OWN_QUERY.get(name.casefold()):
            raise ValueError(f"any parameters but {name}, which is decided by {decided_by}")
    return pairs
