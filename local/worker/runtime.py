"""`function_app.py` as Azure runs it: indexed and invoked by Microsoft's own worker code.

That code is the PyPI package `azure-functions-runtime`, for Python 3.13 and later. The calls come in the same order as
in Azure's worker process: thread pool, init (which indexes the app), metadata, load, then invocations.
"""

import json
from typing import Any

import azure_functions_runtime as runtime

from local.worker import shapes


class RuntimeApp:
    """A function app that Microsoft's worker code runs."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._ids: dict[str, str] = {}

    async def index(self) -> list[dict[str, Any]]:
        """Return the functions and their bindings, as the worker reports them to the host."""
        runtime.start_threadpool_executor()
        started = await runtime.worker_init_request(
            shapes.request("worker_init_request", capabilities={}, function_app_directory=self._folder)
        )
        check(started.result)
        listed = await runtime.functions_metadata_request(shapes.request("functions_metadata_request"))
        check(listed.result)
        for function in listed.function_metadata_results or ():
            loaded = await runtime.function_load_request(
                shapes.request("function_load_request", function_id=function.function_id)
            )
            check(loaded.result)
            self._ids[function.name] = function.function_id
        return [
            {"name": function.name, "bindings": [json.loads(binding) for binding in function.raw_bindings]}
            for function in listed.function_metadata_results or ()
        ]

    async def invoke(self, request: dict[str, Any]) -> str | None:
        """Call a function. Return its traceback as the worker reports it, or None if it succeeded."""
        response = await runtime.invocation_request(
            shapes.request(
                "invocation_request",
                invocation_id=request["id"],
                function_id=self._ids[request["function"]],
                input_data=[shapes.ParameterBinding(request["parameter"], typed(request["value"]))],
                trigger_metadata={name: typed({"text": value}) for name, value in request["metadata"].items()},
                trace_context=shapes.Message(trace_parent="", trace_state="", attributes={}),
                retry_context=shapes.Message(retry_count=0, max_retry_count=0, exception=None),
            )
        )
        if response.result.status == shapes.StatusResult.Success:
            return None
        return str(response.result.exception.stack_trace or response.result.exception.message)


def typed(value: dict[str, Any]) -> shapes.TypedData:
    """Return a request's value as the worker code expects it: a reference to a blob, a timer's JSON, or text."""
    if "blob" in value:
        return shapes.TypedData(model_binding_data=shapes.ModelBindingData(json.dumps(value["blob"])))
    if "timer" in value:
        return shapes.TypedData(json=json.dumps(value["timer"]))
    return shapes.TypedData(string=value["text"])


def check(result: Any) -> None:
    """Raise RuntimeError with the worker's own message if a step failed."""
    if result.status != shapes.StatusResult.Success:
        raise RuntimeError(f"{result.exception.message}\n{result.exception.stack_trace}")
