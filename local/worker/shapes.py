"""The message classes that Microsoft's worker code expects.

Under the real host they are protobuf classes. The package `azure_functions_runtime` only reads and sets attributes, so
plain classes with the same names are enough.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar


class Message(SimpleNamespace):
    """A message with any attributes."""


class StatusResult(Message):
    """The outcome of a request."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class BindingInfo(Message):
    """One binding. The worker code compares directions with both `is` and `==`."""

    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2


class TypedData:
    """A value in one of several fields."""

    def __init__(self, **value: Any) -> None:
        ((self._kind, self._value),) = value.items()
        setattr(self, self._kind, self._value)

    def WhichOneof(self, _group: str) -> str:  # noqa: N802  # protobuf's name
        """Return the name of the field that is set."""
        return self._kind


@dataclass(frozen=True)
class ParameterBinding:
    """The value of one parameter."""

    name: str
    data: TypedData

    def WhichOneof(self, _group: str) -> str:  # noqa: N802  # protobuf's name
        """Return the field that is set. It is never the one for shared memory."""
        return "data"


@dataclass(frozen=True)
class ModelBindingData:
    """The input of an SDK-type binding: a reference to a blob, without its bytes. `content` is JSON."""

    content: str
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"


@dataclass(frozen=True)
class Request:
    """One request to the worker code. Its details are in `request.<verb>`."""

    request: Message
    properties: dict[str, Any] = field(default_factory=dict)


# The worker code calls these `protos`.
PROTOS = SimpleNamespace(
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    TypedData=TypedData,
    ParameterBinding=ParameterBinding,
    **{
        name: type(name, (Message,), {})
        for name in (
            "WorkerInitResponse",
            "WorkerMetadata",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcRetryOptions",
            "FunctionMetadataResponse",
            "FunctionLoadResponse",
            "InvocationResponse",
        )
    },
)


def request(verb: str, **attributes: Any) -> Request:
    """Return a request with one verb."""
    return Request(Message(**{verb: Message(**attributes)}), {"protos": PROTOS, "host": "127.0.0.1"})
