"""The whole local stack: storage, Speech endpoint and host. They start and stop together, and leave nothing behind."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite
from local.host import choose_host
from local.progress import say
from local.speech import ASSUMED, SDK_SEGMENTATION, Behaviour, PocketSphinx, SpeechEndpoint
from local.tools import LOCAL, PROJECT

# The app's own defaults.
AUDIO_CONTAINER = "audio"
TRANSCRIPT_CONTAINER = "transcripts"

LOCAL_KEY = "local-key"  # for the local Speech endpoint only

START_LOG = LOCAL / "start.log"
DEMO_LOG = LOCAL / "demo.log"

PROFILES = {"assumed": ASSUMED, "sdk": SDK_SEGMENTATION}


class WrongSetting(Exception):
    """A setting of the local stack is wrong."""


@dataclass(frozen=True)
class Stack:
    """A running stack: where to upload and where transcripts appear."""

    connection_string: str
    audio_container: str
    transcript_container: str
    endpoint: str


@contextmanager
def running(settings: Mapping[str, str], storage: Path | None) -> Iterator[Stack]:
    """Start everything, and stop it at the end. Azurite stores in the folder `storage`, or in memory without one.

    `settings` override the defaults. Raises WrongSetting, AzuriteError, HostError or ToolError if the start fails.
    """
    with ExitStack() as parts:
        azurite = start_azurite(parts, settings, storage)
        speech = start_speech(parts, settings)
        connection_string = azurite.connection_string if azurite else settings["AudioStorage"]
        environment = app_environment(settings, connection_string, speech)
        stack = Stack(
            connection_string,
            settings.get("AUDIO_CONTAINER") or AUDIO_CONTAINER,
            settings.get("TRANSCRIPT_CONTAINER") or TRANSCRIPT_CONTAINER,
            environment.get("AZURE_SPEECH_ENDPOINT") or environment["AZURE_SPEECH_REGION"],
        )
        create_containers(stack)
        parts.enter_context(choose_host(PROJECT, environment))
        yield stack


def start_azurite(parts: ExitStack, settings: Mapping[str, str], storage: Path | None) -> Azurite | None:
    """Start Azurite without waiting for it, unless the settings name a storage account."""
    if settings.get("AudioStorage"):
        say("Storage: the account in the setting AudioStorage")
        return None
    azurite = Azurite(
        storage,
        blob_port=port_setting(settings, "LOCAL_BLOB_PORT"),
        queue_port=port_setting(settings, "LOCAL_QUEUE_PORT"),
    )
    say(f"Storage: Azurite, {f'in the folder {storage}' if storage else 'in memory'}")
    return parts.enter_context(azurite)


def port_setting(settings: Mapping[str, str], name: str) -> int:
    """Return the port in a setting, or 0 (any free port) without one. Raises WrongSetting if it is not a port."""
    value = settings.get(name) or "0"
    if not (value.isascii() and value.isdigit() and int(value) < 1 << 16):
        raise WrongSetting(f"{name} is {value!r}, which is not a port. Use a number up to 65535.")
    return int(value)


def start_speech(parts: ExitStack, settings: Mapping[str, str]) -> SpeechEndpoint | None:
    """Start the local endpoint, unless the settings name a real one."""
    has_credential = settings.get("AZURE_SPEECH_KEY") or settings.get("AZURE_SPEECH_AUTH") == "identity"
    for name in ("AZURE_SPEECH_ENDPOINT", "AZURE_SPEECH_REGION"):
        if settings.get(name) and (name == "AZURE_SPEECH_ENDPOINT" or has_credential):
            say(f"Speech endpoint: the one in the setting {name}")
            return None
    say("Speech endpoint: a local stand-in that recognises English offline. It makes more mistakes than Azure.")
    recognizer = parts.enter_context(PocketSphinx())
    return parts.enter_context(SpeechEndpoint(recognizer, key=LOCAL_KEY, behaviour=speech_behaviour(settings)))


def speech_behaviour(settings: Mapping[str, str]) -> Behaviour:
    """Return the stand-in's behaviour: as assumed, with the SDK's segmentation, or as a saved check measured it.

    Raises WrongSetting if the file cannot be read.
    """
    value = settings.get("LOCAL_SPEECH_BEHAVIOUR") or "assumed"
    if value in PROFILES:
        return PROFILES[value]
    try:
        return Behaviour.saved(Path(value))
    except (OSError, ValueError, KeyError, TypeError):
        raise WrongSetting(
            f"LOCAL_SPEECH_BEHAVIOUR is {value!r}. Use one of {', '.join(PROFILES)}, or the path of a file that"
            " `make check-speech` saved."
        ) from None


def app_environment(
    settings: Mapping[str, str], connection_string: str, speech: SpeechEndpoint | None
) -> dict[str, str]:
    """Return the app settings: the ones given, plus those that point to the local stack."""
    environment = {
        **settings,
        "AudioStorage": connection_string,
        "AzureWebJobsStorage": settings.get("AzureWebJobsStorage") or connection_string,
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",  # there is no Event Grid on this machine
    }
    if speech:
        environment |= {"AZURE_SPEECH_ENDPOINT": speech.url, "AZURE_SPEECH_KEY": LOCAL_KEY}
        environment.pop("AZURE_SPEECH_REGION", None)
    return environment


def create_containers(stack: Stack) -> None:
    """Create both containers, unless they exist."""
    with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
        for name in (stack.audio_container, stack.transcript_container):
            with suppress(ResourceExistsError):
                storage.create_container(name)


def log_to_file(path: Path) -> None:
    """Write all log lines to a file, and show warnings and errors on the screen too."""
    path.parent.mkdir(exist_ok=True)
    file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("  log | %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, screen])
    logging.getLogger("azure").setLevel(logging.WARNING)
