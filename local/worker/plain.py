"""Direct calls of the functions in `function_app.py`, for machines without Python 3.13.

The project runs on Python 3.11, but Microsoft's worker code needs 3.13. The functions called are the same. Microsoft's
checks of signatures and bindings are missing. So is the blob client: functions get an object with only its two names.
"""

import asyncio
import importlib
import inspect
import json
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from azure.functions import FunctionRegister
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

THREADS = 256  # more than any `maxDegreeOfParallelism` on a developer's machine; created only when needed


class PlainApp:
    """A function app whose functions are called directly."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._threads = ThreadPoolExecutor(THREADS)

    async def index(self) -> list[dict[str, Any]]:
        """Return the functions and their bindings. Raises RuntimeError with the traceback if the import fails."""
        try:
            module = importlib.import_module("function_app")
            functions = [
                function
                for app in vars(module).values()
                if isinstance(app, FunctionRegister)
                for function in app.get_functions()
            ]
        except Exception as error:  # importing an app can raise anything
            raise RuntimeError(traceback.format_exc()) from error
        self._functions = {str(function.get_function_name()): function.get_user_function() for function in functions}
        return [
            {"name": function.get_function_name(), "bindings": [json.loads(raw) for raw in function.get_raw_bindings()]}
            for function in functions
        ]

    async def invoke(self, request: dict[str, Any]) -> str | None:
        """Call a function. Return its traceback, or None if it succeeded."""
        call = self._functions[request["function"]]
        arguments = {request["parameter"]: argument(request)}
        try:
            if inspect.iscoroutinefunction(call):
                await call(**arguments)
            else:
                await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(**arguments))
        except Exception:  # noqa: BLE001  # any exception of the function is a failed try, as on the real host
            return traceback.format_exc()
        return None


def argument(request: dict[str, Any]) -> Any:
    """Return the argument for the trigger's parameter."""
    value, metadata = request["value"], request["metadata"]
    if "blob" in value:
        return SimpleNamespace(container_name=value["blob"]["ContainerName"], blob_name=value["blob"]["BlobName"])
    if "timer" in value:
        return TimerRequest(past_due=value["timer"]["IsPastDue"])
    return QueueMessage(  # type: ignore[no-untyped-call]
        id=metadata["Id"], body=value["text"], dequeue_count=int(metadata["DequeueCount"])
    )
