"""The queue of uploads that need another try.

The SDK's queue client is imported with the first message, because most processes never send one.
"""

import json
import logging
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from transcription.errors import StorageFailed
from transcription.settings.app import StorageSettings
from transcription.storage.account import client_options, managed_identity
from transcription.storage.names import is_reachable

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.queue import QueueClient

AGAIN_QUEUE = "transcription-again"
MAX_INVISIBLE_SECONDS = 6 * 60 * 60  # storage allows seven days, but no upload is to wait that long
NEVER_EXPIRES = -1  # otherwise a message is gone after seven days
MAX_UNWRITTEN = 1_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgainMessage:
    """One upload that needs another try.

    unwritten: the tries in a row after which its document could not be written.
    reset: count its attempts from zero.
    """

    name: str
    unwritten: int = 0
    reset: bool = False

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, body: bytes) -> "AgainMessage | None":
        """Return the message, or None if this is not one. Anybody who may write to the queue can send anything."""
        try:
            content = json.loads(body)
            message = cls(content["name"], content.get("unwritten", 0), content.get("reset", False))
            if message._is_valid():
                return message
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        log.warning("Ignored a message of %d bytes on %s: it names no upload", len(body), AGAIN_QUEUE)
        return None

    def _is_valid(self) -> bool:
        return (
            isinstance(self.name, str)
            and is_reachable(self.name)
            and type(self.unwritten) is int  # True is no number
            and 0 <= self.unwritten <= MAX_UNWRITTEN
            and isinstance(self.reset, bool)
        )


class AgainQueue:
    """The queue, through one client for the process. The SDK's errors pass through: they mean that storage is down.

    Without a connection string, the default credential is the app's managed identity.
    """

    def __init__(
        self, settings: StorageSettings, name: str = AGAIN_QUEUE, credential: "TokenCredential | None" = None
    ) -> None:
        self._settings = settings
        self._name = name
        self._credential = credential
        self._connected: QueueClient | None = None
        self._lock = threading.Lock()

    def send(self, message: AgainMessage, seconds: float) -> None:
        """Send the message. The host gets it after `seconds`, but after six hours at most.

        Raises StorageFailed if the settings name no queue service.
        """
        wait = round(min(max(seconds, 0), MAX_INVISIBLE_SECONDS))
        options = {"visibility_timeout": wait, "time_to_live": NEVER_EXPIRES}
        try:
            self._client.send_message(message.encode(), **options)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):  # another worker was quicker
                self._client.create_queue()
            self._client.send_message(message.encode(), **options)

    def waiting(self) -> int:
        """Return the approximate number of messages, including those that are invisible or being worked on."""
        try:
            return self._client.get_queue_properties().approximate_message_count or 0
        except ResourceNotFoundError:
            return 0

    @property
    def _client(self) -> "QueueClient":
        with self._lock:
            if self._connected is None:
                self._connected = _connect(self._settings, self._name, self._credential)
            return self._connected


def _connect(settings: StorageSettings, name: str, credential: "TokenCredential | None") -> "QueueClient":
    from azure.storage.queue import QueueClient, TextBase64EncodePolicy

    # The host decodes base64. Without a policy, the client would send plain text.
    options = {**client_options(), "message_encode_policy": TextBase64EncodePolicy()}
    if settings.connection_string:
        try:
            return QueueClient.from_connection_string(settings.connection_string, name, **options)
        except ValueError:  # its text may quote a secret
            raise StorageFailed(
                "AudioStorage names no queue endpoint. Set it to the account's whole connection string."
            ) from None
    credential = credential or managed_identity(settings.client_id)
    return QueueClient(str(settings.queue_url), name, credential=credential, **options)
