"""App settings → frozen objects, checked once and together.

A deployer with three wrong settings wants to hear of all three. So every check notes its problem and goes on, and one
error at the end names them all. This is written by hand because the app starts cold: importing one of the usual
libraries takes longer than importing the rest of this package.

There are three objects because they are needed at different times. `TriggerSettings` indexes the functions, which must
not fail. `StorageSettings` is enough to write a document that says what is wrong. `Settings` does the work.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from transcription.errors import Misconfigured
from transcription.settings.confidential import account_url, connection_string, queue_url
from transcription.settings.reader import SettingsReader
from transcription.settings.schedule import parse_schedule
from transcription.settings.speech import SpeechSettings, read_speech

MEGABYTE = 1 << 20  # bytes
FUNCTION_TIMEOUT_MINUTES = 60  # as in host.json; the host then ends the process and all work in it
MOST_SWEEP_DAYS = 3650
AUDIO_CONTAINER = "audio"
TRANSCRIPT_CONTAINER = "transcripts"
WORK_CONTAINER = "transcription-work"
SWEEP_SCHEDULE = "0 */15 * * * *"  # NCRONTAB: every 15 minutes
EVENT_GRID, CONTAINER_SCAN = "EventGrid", "LogsAndContainerScan"
DOCUMENT_FORMATS = ("json", "vtt", "srt", "txt")

_CONTAINER_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TriggerSettings:
    """The settings that indexing needs. Without a `sweep_schedule`, there is no sweep.

    Reading them never fails. An unknown source counts as the default, and `Settings` reports it. So does a wrong
    schedule, and `log_wrong_settings` reports it.
    """

    container: str
    source: str
    sweep_schedule: str | None = SWEEP_SCHEDULE

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "TriggerSettings":
        source = environ.get("BLOB_TRIGGER_SOURCE", "").strip().casefold()
        return cls(
            environ.get("AUDIO_CONTAINER", "").strip() or AUDIO_CONTAINER,
            CONTAINER_SCAN if source == CONTAINER_SCAN.casefold() else EVENT_GRID,
            _sweep_schedule(environ),
        )


@dataclass(frozen=True)
class StorageSettings:
    """The containers and the connection to them: a connection string, or the account's URLs and a managed identity.

    The queue is in the same account.
    """

    audio_container: str
    transcript_container: str
    work_container: str
    connection_string: str | None = field(repr=False)
    account_url: str | None = field(repr=False)
    queue_url: str | None = field(repr=False)
    client_id: str | None = field(repr=False)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "StorageSettings":
        """Return the storage settings.

        Raises Misconfigured if some are missing or wrong. The error names each and says what to set it to.
        """
        reader = SettingsReader(environ)
        storage = _read_storage(reader)
        reader.finish()
        return storage


@dataclass(frozen=True)
class Limits:
    audio_seconds: float
    upload_bytes: int
    processing_seconds: float


@dataclass(frozen=True)
class SweepSettings:
    """The time of each sweep, as NCRONTAB, and the age in days of the oldest uploads that it tries again.

    Without a schedule, there is no sweep.
    """

    schedule: str | None
    days: float

    @classmethod
    def read(cls, environ: Mapping[str, str], reader: SettingsReader | None = None) -> "SweepSettings":
        """Return the settings. A wrong value counts as the default, and is noted in `reader`."""
        reader = reader or SettingsReader(environ)
        return cls(_sweep_schedule(environ), reader.number("SWEEP_DAYS", 7, MOST_SWEEP_DAYS))


@dataclass(frozen=True)
class Settings:
    storage: StorageSettings
    speech: SpeechSettings
    limits: Limits
    sweep: SweepSettings
    document_formats: tuple[str, ...]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return all settings.

        Raises Misconfigured if some are missing or wrong. The error names each and says what to set it to.
        """
        reader = SettingsReader(environ)
        settings = cls(
            _read_storage(reader),
            read_speech(reader),
            Limits(
                audio_seconds=60 * reader.number("MAX_AUDIO_MINUTES", 120, 24 * 60),
                upload_bytes=int(MEGABYTE * reader.number("MAX_AUDIO_MEGABYTES", 512, 1_000_000)),
                processing_seconds=60 * reader.number("MAX_PROCESSING_MINUTES", 50, FUNCTION_TIMEOUT_MINUTES - 1),
            ),
            SweepSettings.read(environ, reader),
            reader.choices("TRANSCRIPT_FORMATS", ("json",), DOCUMENT_FORMATS),
        )
        reader.choice("BLOB_TRIGGER_SOURCE", EVENT_GRID, (EVENT_GRID, CONTAINER_SCAN))
        reader.finish()
        return settings


def log_wrong_settings(environ: Mapping[str, str]) -> None:
    """Log at start what is wrong. The functions are indexed all the same, so that no upload is dropped."""
    if fault := _schedule_fault(environ):
        log.error("SWEEP_SCHEDULE %s. Until it is fixed, the default %r is used.", fault, SWEEP_SCHEDULE)
    try:
        Settings.read(environ)
    except Misconfigured as error:
        log.error("%s Until they are fixed, each upload ends as Failed/Configuration.", error)


def _read_storage(reader: SettingsReader) -> StorageSettings:
    audio = reader.parsed("AUDIO_CONTAINER", _container_name, AUDIO_CONTAINER)
    transcripts = reader.parsed("TRANSCRIPT_CONTAINER", _container_name, TRANSCRIPT_CONTAINER)
    if audio == transcripts:
        expected = "a container other than AUDIO_CONTAINER, or every transcript would count as an upload"
        reader.wrong("TRANSCRIPT_CONTAINER", expected, transcripts)
    work = reader.parsed("WORK_CONTAINER", _container_name, WORK_CONTAINER)
    if work in (audio, transcripts):
        reader.wrong("WORK_CONTAINER", "a container other than AUDIO_CONTAINER and TRANSCRIPT_CONTAINER", work)
    connection = reader.text("AudioStorage")
    url = reader.confidential("AudioStorage__blobServiceUri", account_url, None)
    if connection is None and reader.text("AudioStorage__blobServiceUri") is None:
        reader.wrong("AudioStorage", "a storage connection string, or set AudioStorage__blobServiceUri instead")
    reader.confidential("AudioStorage", connection_string, "")
    queues = reader.confidential("AudioStorage__queueServiceUri", queue_url, None)
    if connection is None and url and reader.text("AudioStorage__queueServiceUri") is None:
        reader.wrong("AudioStorage__queueServiceUri", "the account's queue URL, needed as well as the blob URL")
    return StorageSettings(audio, transcripts, work, connection, url, queues, reader.text("AudioStorage__clientId"))


def _sweep_schedule(environ: Mapping[str, str]) -> str | None:
    """Return the schedule, or the default if there is none or a wrong one, or None if there is to be no sweep."""
    value = environ.get("SWEEP_SCHEDULE", "").strip()
    if value.casefold() == "off":
        return None
    return value if value and not _schedule_fault(environ) else SWEEP_SCHEDULE


def _schedule_fault(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with the schedule, without quoting it."""
    value = environ.get("SWEEP_SCHEDULE", "").strip()
    if value and value.casefold() != "off":
        try:
            parse_schedule(value)
        except ValueError as error:
            return str(error)
    return None


def _container_name(value: str) -> str:
    if not _CONTAINER_NAME.fullmatch(value):
        raise ValueError("a container's name: 3 to 63 lower-case letters, digits and single hyphens")
    return value
