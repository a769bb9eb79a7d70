"""The shapes that Microsoft's worker code expects of its host.

Under the real host these are protobuf classes of the worker process around `azure_functions_runtime`; the package
itself only reads and builds attributes of the same names, so plain classes do.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar


class Message(SimpleNamespace):
    """Any message whose attributes are all the worker code cares for."""


class StatusResult(Message):
    """How a request went."""

    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1


class BindingInfo(Message):
    """One binding; the directions are compared with `is` and `==`."""

    undefined: ClassVar[int] = 0
    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2


class TypedData:
    """A value with the name of its one field that is set."""

    def __init__(self, **value: Any) -> None:
        ((self._kind, self._value),) = value.items()
        setattr(self, self._kind, self._value)

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """protobuf's way to ask which field is set."""
        return self._kind


@dataclass(frozen=True)
class ParameterBinding:
    """The value of one parameter."""

    name: str
    data: TypedData

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """Never shared memory."""
        return "data"


@dataclass(frozen=True)
class ModelBindingData:
    """What an SDK-type binding is made of: a reference, no bytes. `content` is JSON."""

    content: str
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"


@dataclass(frozen=True)
class Request:
    """One request to the worker code: `request.<verb>` holds what it is about."""

    request: Message
    properties: dict[str, Any] = field(default_factory=dict)


#: What the worker code calls `protos`.
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
    """A request of one verb."""
    return Request(Message(**{verb: Message(**attributes)}), {"protos": PROTOS, "host": "127.0.0.1"})
