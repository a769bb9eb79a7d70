"""The whole stack: storage, Speech endpoint, host. Started side by side, stopped together, leaving nothing behind."""

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
from local.speech import PocketSphinx, SpeechEndpoint
from local.tools import LOCAL, PROJECT

#: What the app answers to; the same names and defaults as in the app itself.
AUDIO_CONTAINER = "audio"
TRANSCRIPT_CONTAINER = "transcripts"

#: Opens the local Speech endpoint and nothing else.
LOCAL_KEY = "local-key"

START_LOG = LOCAL / "start.log"
DEMO_LOG = LOCAL / "demo.log"


class WrongSetting(Exception):
    """A setting of the local stack itself is wrong."""


@dataclass(frozen=True)
class Stack:
    """A running stack, as seen by someone with recordings."""

    connection_string: str
    audio_container: str
    transcript_container: str
    endpoint: str


@contextmanager
def running(settings: Mapping[str, str], storage: Path | None) -> Iterator[Stack]:
    """Everything up. `settings` override the defaults; `storage`: Azurite's folder, without one it works in memory."""
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
    """On its way up, unless the settings name a storage account."""
    if settings.get("AudioStorage"):
        say("Storage: the account that AudioStorage names")
        return None
    azurite = Azurite(
        storage, blob_port=port(settings, "LOCAL_BLOB_PORT"), queue_port=port(settings, "LOCAL_QUEUE_PORT")
    )
    say(f"Storage: Azurite, {f'kept in {storage}' if storage else 'in memory'}")
    return parts.enter_context(azurite)


def port(settings: Mapping[str, str], name: str) -> int:
    """The port of that setting, 0 (any free one) where it is not set. Raises `WrongSetting`."""
    value = settings.get(name) or "0"
    if not (value.isascii() and value.isdigit() and int(value) < 1 << 16):
        raise WrongSetting(f"{name} is {value!r}: a port is a number up to 65535")
    return int(value)


def start_speech(parts: ExitStack, settings: Mapping[str, str]) -> SpeechEndpoint | None:
    """The local endpoint, unless the settings lead to a real one."""
    for name in ("AZURE_SPEECH_ENDPOINT", "AZURE_SPEECH_REGION"):
        if settings.get(name) and (name == "AZURE_SPEECH_ENDPOINT" or settings.get("AZURE_SPEECH_KEY")):
            say(f"Speech endpoint: the one that {name} names")
            return None
    say("Speech endpoint: a local stand-in with offline English recognition. It is not Azure's, and hears less well.")
    return parts.enter_context(SpeechEndpoint(parts.enter_context(PocketSphinx()), key=LOCAL_KEY))


def app_environment(
    settings: Mapping[str, str], connection_string: str, speech: SpeechEndpoint | None
) -> dict[str, str]:
    """The app settings: the ones given, plus what makes them local."""
    environment = {
        **settings,
        "AudioStorage": connection_string,
        "AzureWebJobsStorage": settings.get("AzureWebJobsStorage") or connection_string,
        # There is no Event Grid on this machine.
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
    }
    if speech:
        environment |= {"AZURE_SPEECH_ENDPOINT": speech.url, "AZURE_SPEECH_KEY": LOCAL_KEY}
        environment.pop("AZURE_SPEECH_REGION", None)
    return environment


def create_containers(stack: Stack) -> None:
    """Both containers, unless they are there."""
    with BlobServiceClient.from_connection_string(stack.connection_string) as storage:
        for name in (stack.audio_container, stack.transcript_container):
            with suppress(ResourceExistsError):
                storage.create_container(name)


def log_to_file(path: Path) -> None:
    """Everything goes to that file; warnings and errors are shown as well."""
    path.parent.mkdir(exist_ok=True)
    file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    screen = logging.StreamHandler()
    screen.setLevel(logging.WARNING)
    screen.setFormatter(logging.Formatter("  log | %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, screen])
    logging.getLogger("azure").setLevel(logging.WARNING)
