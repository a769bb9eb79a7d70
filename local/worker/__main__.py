"""The child's side of the line protocol.

Out, first: `{"type": "ready", "functions": [{"name", "bindings": [...]}]}` or `{"type": "failed", "message"}`.
In: `{"id", "function", "parameter", "value": {"blob": {...}} | {"text": "..."}, "metadata": {...}}`.
Out: `{"type": "done", "id", "error": null | "..."}` and, at any time, `{"type": "log", "level", "message"}`.
The end of the input is the end of the process: whoever started it is gone or wants it gone.
"""

import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TextIO

Request = dict[str, Any]

#: In the path of each of its files.
PROGRAMMING_MODEL = f"{os.sep}azure{os.sep}functions{os.sep}"


class App(Protocol):
    """A function app that is ready to be called: Microsoft's worker code, or plain calls where that cannot run."""

    async def index(self) -> list[dict[str, Any]]:
        """The functions, each with its bindings as the host gets them. Raises `RuntimeError` where indexing fails."""

    async def invoke(self, request: Request) -> str | None:
        """What went wrong in the function, or nothing."""


class Channel:
    """Whole lines to the parent, from any thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """One JSON object, one line."""
        with self._lock:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()


class ChannelHandler(logging.Handler):
    """Forwards a record's level and message only, as the real worker does.

    The programming model's own warning, the same at every start of an app without HTTP functions, is only information.
    """

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """The traceback goes into the message."""
        level = "INFO" if PROGRAMMING_MODEL in record.pathname else record.levelname
        self._channel.send(type="log", level=level, message=self.format(record))


def claim_stdout() -> TextIO:
    """The protocol's own stream. What anything else writes to standard output goes to standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return protocol


def read_lines(deliver: Callable[[str], None]) -> None:
    """Until the parent closes its end; then this process has no reason to live, whatever its threads are doing."""
    for line in sys.stdin:
        deliver(line)
    os._exit(0)


async def answer(app: App, channel: Channel, request: Request) -> None:
    """One invocation."""
    channel.send(type="done", id=request["id"], error=await app.invoke(request))


async def serve(app: App, channel: Channel) -> None:
    """Index, then answer requests side by side for as long as the parent is there."""
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


def load(mode: str, folder: str) -> App:
    """Imported when asked for: `runtime` needs Microsoft's package, `plain` must do without it."""
    if mode == "runtime":
        from local.worker.runtime import RuntimeApp

        return RuntimeApp(folder)
    from local.worker.plain import PlainApp

    return PlainApp()


def main() -> None:
    """`python -m local.worker MODE FOLDER`."""
    mode, folder = sys.argv[1:]
    channel = Channel(claim_stdout())
    logging.basicConfig(level=logging.INFO, handlers=[ChannelHandler(channel)], format="%(message)s")
    sys.path.insert(0, folder)
    asyncio.run(serve(load(mode, folder), channel))


if __name__ == "__main__":
    main()
