"""The host's side of the worker process: starts it, talks to it line by line, and restarts it after a crash."""

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

START_SECONDS = 60.0  # imports take about one; a busy machine may need far more

function_log = logging.getLogger("local.function")  # the function's own log lines


class Session:
    """One worker process from its start to its end, with the invocations in flight."""

    def __init__(self, command: list[str], env: Mapping[str, str], cwd: Path) -> None:
        self.ready: Future[list[dict[str, Any]]] = Future()
        self._pending: dict[str, Future[str | None]] = {}
        self._lock = threading.Lock()
        self._ended = self._stopping = False
        self.child = Child(
            command, env=env, cwd=cwd, on_line=self._on_line, on_error_line=function_log.warning, on_end=self._on_end
        )

    def invoke(self, request: dict[str, Any]) -> Future[str | None]:
        """Send one request. The future's result is the function's error, or None if it succeeded.

        Raises WorkerDied if the process is gone. If it ends later, the future raises WorkerDied or WorkerStopped.
        """
        answer: Future[str | None] = Future()
        invocation_id = str(uuid.uuid4())
        with self._lock:
            if self._ended:
                raise WorkerDied("the worker process is gone")
            self._pending[invocation_id] = answer
            try:
                self.child.send(json.dumps(request | {"id": invocation_id}))
            except BrokenPipeError:
                del self._pending[invocation_id]
                raise WorkerDied("the worker process is gone") from None
        return answer

    @property
    def ended(self) -> bool:
        """Tell whether the process has ended, so that a new one is needed."""
        return self._ended

    def stop(self) -> None:
        """End the process. Invocations in flight raise WorkerStopped."""
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
            answer.set_exception(WorkerStopped() if self._stopping else WorkerDied("the worker process died"))
        if not self.ready.done():
            self.ready.set_exception(HostError(f"The worker process ended while starting:\n{last_lines}"))


class Worker:
    """The function app in a worker process, which is restarted after a crash. Safe to use from many threads."""

    def __init__(self, python: Path, app: Path, settings: Mapping[str, str]) -> None:
        """Prepare the worker. `settings` are the process's whole environment."""
        self._command = [str(python), "-m", "local.worker", str(app)]
        # The real host's thread pool is this large. With the default, a few long recordings would block the others.
        self._env = {"PYTHON_THREADPOOL_THREAD_COUNT": "1000", **settings, "PYTHONPATH": str(PROJECT)}
        self._app = app
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._stopped = False

    def start(self) -> list[dict[str, Any]]:
        """Start the process and return the indexed functions. Raises HostError if indexing fails."""
        with self._lock:
            return self._start()

    @property
    def pid(self) -> int | None:
        """Return the id of the process in use, if there is one."""
        return self._session.child.pid if self._session else None

    def invoke(self, request: dict[str, Any]) -> Future[str | None]:
        """Send a request as `Session.invoke` does, after a restart if necessary.

        Raises WorkerStopped after `stop`. Raises WorkerDied if the process does not start.
        """
        with self._lock:
            if self._stopped:
                raise WorkerStopped
            if self._session is None or self._session.ended:
                self._restart()
            assert self._session is not None
            return self._session.invoke(request)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        with self._lock:
            self._stopped = True
            if self._session:
                self._session.stop()

    def _restart(self) -> None:
        function_log.warning("The worker process died. Starting a new one.")
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
            raise HostError(f"The worker process did not start within {START_SECONDS:.0f} s. Try again.") from None
