"""Azurite, Microsoft's storage emulator: the blobs and queues of the local stack."""

import re
import threading
import time
from pathlib import Path
from typing import Self

from local.processes import Child, guarded
from local.tools import LOCAL, azurite_command, child_environment

# Azurite's only account. Microsoft publishes its name and key. They are the same everywhere, so they are no secret.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

START_SECONDS = 60.0  # it takes one or two; a busy machine may need far more

LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)")


class AzuriteError(Exception):
    """Azurite did not start. The message has its last output."""


class Azurite:
    """A running Azurite. Entering it as a context manager starts the process; `connection_string` waits for it.

    With port 0, Azurite chooses a free port and reports it. So two instances never collide.
    """

    def __init__(self, storage: Path | None = None, *, blob_port: int = 0, queue_port: int = 0) -> None:
        """Prepare the start. Blobs and queues are stored in the folder `storage`, or in memory without one."""
        self._storage = storage
        self._ports = {"blob": blob_port, "queue": queue_port, "table": 0}
        self._addresses: dict[str, str] = {}
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        """Start the process and return at once."""
        if self._storage:
            self._storage.mkdir(parents=True, exist_ok=True)
        self._child = Child(
            guarded([*azurite_command(), *self._arguments()]),
            env=child_environment(),
            cwd=LOCAL,
            on_line=self._on_line,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop()

    @property
    def connection_string(self) -> str:
        """Return the connection string for blobs and queues. Waits for the start. Raises AzuriteError if that fails."""
        deadline = time.monotonic() + START_SECONDS
        with self._changed:
            while len(self._addresses) < len(self._ports):
                if not self._child.running or time.monotonic() > deadline:
                    raise AzuriteError(f"Azurite did not start. Its last output:\n{self._child.tail}")
                self._changed.wait(0.1)
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self._addresses['Blob']}/{ACCOUNT};QueueEndpoint={self._addresses['Queue']}/{ACCOUNT};"
        )

    def _arguments(self) -> list[str]:
        ports = [argument for name, port in self._ports.items() for argument in (f"--{name}Port", str(port))]
        location = ["--location", str(self._storage)] if self._storage else ["--inMemoryPersistence"]
        # The current SDKs send an API version that this Azurite does not know yet.
        return [*ports, *location, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]

    def _on_line(self, line: str) -> None:
        if match := LISTENING.search(line):
            with self._changed:
                self._addresses[match[1]] = match[2]
                self._changed.notify_all()
