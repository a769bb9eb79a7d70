"""The host's side of the worker process: starts it, talks to it line by line, starts it again when it died."""

import json
import logging
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from local.host.errors import HostError, WorkerDied, WorkerStopped
from local.processes import Child
from local.tools import PROJECT

#: Importing the app's packages takes about a second; a busy machine may need many more.
START_SECONDS = 60.0

#: Where the function's own log lines go on.
function_log = logging.getLogger("local.function")


class Session:
    """One life of the worker process, from its start to its end, and the invocations in flight in it."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path) -> None:
        self.ready: Future[list[dict[str, Any]]] = Future()
        self._pending: dict[str, Future[str | None]] = {}
        self._lock = threading.Lock()
        self._ended = self._stopping = False
        self.child = Child(
            command, env=env, cwd=cwd, on_line=self._on_line, on_error_line=function_log.warning, on_end=self._on_end
        )

    def invoke(self, request: dict[str, Any]) -> Future[str | None]:
        """Sends one request. The future holds what went wrong in the function, if anything, or `WorkerDied`."""
        answer: Future[str | None] = Future()
        identity = str(uuid.uuid4())
        with self._lock:
            if self._ended:
                raise WorkerDied("the worker process is gone")
            self._pending[identity] = answer
            try:
                self.child.send(json.dumps(request | {"id": identity}))
            except BrokenPipeError:
                del self._pending[identity]
                raise WorkerDied("the worker process is gone") from None
        return answer

    @property
    def ended(self) -> bool:
        """Whether the process is gone, so that another one is needed."""
        return self._ended

    def stop(self) -> None:
        """Ends the process; what is in flight is told `WorkerStopped`."""
        self._stopping = True
        self.child.stop()

    def _on_line(self, line: str) -> None:
        message = json.loads(line)
        match message.pop("type"):
            case "ready":
                self.ready.set_result(message["functions"])
            case "failed":
                self.ready.set_exception(HostError(f"The functions could not be indexed:\n{message['message']}"))
            case "done":
                self._pending.pop(message["id"]).set_result(message["error"])
            case "log":
                level = logging.getLevelNamesMapping().get(message["level"], logging.INFO)
                function_log.log(level, "%s", message["message"])

    def _on_end(self, last_lines: str) -> None:
        with self._lock:
            self._ended = True
            lost = list(self._pending.values())
            self._pending.clear()
        for answer in lost:
            answer.set_exception(WorkerStopped() if self._stopping else WorkerDied("the worker process died under it"))
        if not self.ready.done():
            self.ready.set_exception(HostError(f"The worker process ended at its start:\n{last_lines}"))


class Worker:
    """The function app in a process that is started again when it died. Safe to use from many threads."""

    def __init__(self, python: Path, mode: str, app: Path, settings: Mapping[str, str]) -> None:
        """`mode`: `runtime` or `plain`, see `local.worker`. `settings`: the process's whole environment."""
        self._command = [str(python), "-m", "local.worker", mode, str(app)]
        # Under the real host the thread pool is that large; unset, a handful of long recordings would block the rest.
        self._env = {"PYTHON_THREADPOOL_THREAD_COUNT": "1000", **settings, "PYTHONPATH": str(PROJECT)}
        self._app = app
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._stopped = False

    def start(self) -> list[dict[str, Any]]:
        """The indexed functions. Raises `HostError` where the app does not index."""
        with self._lock:
            return self._start()

    @property
    def pid(self) -> int | None:
        """The process in use, if any."""
        return self._session.child.pid if self._session else None

    def invoke(self, request: dict[str, Any]) -> Future[str | None]:
        """As `Session.invoke`, in a living process. Raises `WorkerStopped` once stopped."""
        with self._lock:
            if self._stopped:
                raise WorkerStopped
            if self._session is None or self._session.ended:
                self._restart()
            assert self._session is not None
            return self._session.invoke(request)

    def stop(self) -> None:
        """Ends the process and whatever it is doing."""
        with self._lock:
            self._stopped = True
            if self._session:
                self._session.stop()

    def _restart(self) -> None:
        function_log.warning("The worker process died and is started again.")
        if self._session:
            self._session.stop()
        try:
            self._start()
        except HostError as error:
            raise WorkerDied(str(error)) from error

    def _start(self) -> list[dict[str, Any]]:
        self._session = Session(self._command, self._env, self._app)
        try:
            return self._session.ready.result(START_SECONDS)
        except TimeoutError:
            raise HostError(f"The worker process did not start within {START_SECONDS:.0f} s") from None
