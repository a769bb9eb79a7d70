"""`function_app.py` called plainly, where there is no Python 3.13 for Microsoft's worker code.

The functions are the same; what is missing is Microsoft's check of their signatures and bindings, and the blob trigger
gets a stand-in for the client that has its two names and nothing else.
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

#: More than any `maxDegreeOfParallelism` a developer's machine will see; threads are made when needed.
THREADS = 256


class PlainApp:
    """A function app whose functions are called directly."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._threads = ThreadPoolExecutor(THREADS)

    async def index(self) -> list[dict[str, Any]]:
        """The functions and their bindings. Raises `RuntimeError` with the traceback where the app does not import."""
        try:
            module = importlib.import_module("function_app")
            functions = [
                function
                for app in vars(module).values()
                if isinstance(app, FunctionRegister)
                for function in app.get_functions()
            ]
        # The app's module is someone else's code: whatever it raises is the answer.
        except Exception as error:
            raise RuntimeError(traceback.format_exc()) from error
        self._functions = {str(function.get_function_name()): function.get_user_function() for function in functions}
        return [
            {"name": function.get_function_name(), "bindings": [json.loads(raw) for raw in function.get_raw_bindings()]}
            for function in functions
        ]

    async def invoke(self, request: dict[str, Any]) -> str | None:
        """The function's exception with its stack, or nothing."""
        call = self._functions[request["function"]]
        arguments = {request["parameter"]: argument(request)}
        try:
            if inspect.iscoroutinefunction(call):
                await call(**arguments)
            else:
                await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(**arguments))
        # As the host does: any exception of the function is a failed try, and its text is reported.
        except Exception:  # noqa: BLE001
            return traceback.format_exc()
        return None


def argument(request: dict[str, Any]) -> Any:
    """What the trigger's parameter gets."""
    value, metadata = request["value"], request["metadata"]
    if "blob" in value:
        return SimpleNamespace(container_name=value["blob"]["ContainerName"], blob_name=value["blob"]["BlobName"])
    return QueueMessage(  # type: ignore[no-untyped-call]
        id=metadata["Id"], body=value["text"], dequeue_count=int(metadata["DequeueCount"])
    )
