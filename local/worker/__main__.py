"""The worker process: it reads requests line by line, and writes answers and log lines.

First it writes `{"type": "ready", "functions": [{"name", "bindings": [...]}]}` or `{"type": "failed", "message"}`.
It reads `{"id", "function", "parameter", "value": {...}, "metadata": {...}}`, where the value is `{"blob": {...}}`,
`{"text": "..."}` or `{"timer": {...}}`. It writes `{"type": "done", "id", "error": null | "..."}`, and at any time
`{"type": "log", "level", "message"}`. It ends when its input ends: then its parent has died, or wants it to stop.
"""

import asyncio
import importlib.util
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO

Request = dict[str, Any]

PROGRAMMING_MODEL = f"{os.sep}azure{os.sep}functions{os.sep}"  # in the path of each of its files


class App(Protocol):
    """A function app that can be indexed and called."""

    async def index(self) -> list[dict[str, Any]]:
        """Return the functions, each with its bindings as the host gets them. Raises RuntimeError if that fails."""

    async def invoke(self, request: Request) -> str | None:
        """Call a function. Return its error, or None if it succeeded."""


class Channel:
    """The stream to the parent. Any thread may write whole lines to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Write one JSON object as one line."""
        with self._lock:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()


class ChannelHandler(logging.Handler):
    """Forwards log records to the parent: level and message only, as the real worker does.

    The programming model warns at every start of an app without HTTP functions. That is passed on as information.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Forward one record. A traceback becomes part of the message."""
        level = "INFO" if PROGRAMMING_MODEL in record.pathname else record.levelname
        self._channel.send(type="log", level=level, message=self.format(record))


def claim_stdout() -> TextIO:
    """Return the stream for the protocol. From now on, other output to standard output goes to standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return protocol


def read_lines(deliver: Callable[[str], None]) -> None:
    """Deliver lines until the parent closes its end, then end this process."""
    for line in sys.stdin:
        deliver(line)
    os._exit(0)  # whatever the other threads are doing


async def answer(app: App, channel: Channel, request: Request) -> None:
    """Carry out one invocation."""
    channel.send(type="done", id=request["id"], error=await app.invoke(request))


async def serve(app: App, channel: Channel) -> None:
    """Index the app, then answer requests concurrently for as long as the parent lives."""
    try:
        functions = await app.index()
    except RuntimeError as error:
        channel.send(type="failed", message=str(error))
        return
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    reader = threading.Thread(
        target=read_lines, args=(lambda line: loop.call_soon_threadsafe(lines.put_nowait, line),), daemon=True
    )
    reader.start()
    channel.send(type="ready", functions=functions)
    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(answer(app, channel, json.loads(await lines.get())))


def load(folder: str) -> App:
    """Return the app, run by Microsoft's worker code if this Python has it, otherwise by direct calls."""
    if importlib.util.find_spec("azure_functions_runtime"):
        from local.worker.runtime import RuntimeApp

        return RuntimeApp(folder)
    from local.worker.plain import PlainApp

    return PlainApp()


def main() -> None:
    """Run `python -m local.worker FOLDER`."""
    (folder,) = sys.argv[1:]
    channel = Channel(claim_stdout())
    logging.basicConfig(level=logging.INFO, handlers=[ChannelHandler(channel)], format="%(message)s")
    sys.path.insert(0, folder)
    asyncio.run(serve(load(folder), channel))


if __name__ == "__main__":
    main()
