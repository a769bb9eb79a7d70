"""Evaluates a compiled template without Azure: opens modules, unrolls loops and evaluates expressions.

A value that only Azure knows (an address, a key, a principal's ID) becomes a `Later`, a text that names its source. An
unknown function is an error, so no test relies on something that was not evaluated.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

Json = dict[str, Any]

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|-?\d+|[A-Za-z_$][\w$]*|[()\[\].,])")


class Later(str):
    """A value that only Azure knows. The text is its expression."""


@dataclass
class Scope:
    """A template with its parameters, and the current index of a loop."""

    template: Json
    given: Mapping[str, Any]
    index: int = 0
    modules: dict[str, "Scope"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.given) - set(self.template.get("parameters", {}))
        assert not unknown, f"no such parameters: {unknown}"
        for name, resource in self.resources():
            if resource["type"] == "Microsoft.Resources/deployments" and self.read(resource.get("condition", True)):
                given = {key: self.read(value)["value"] for key, value in resource["properties"]["parameters"].items()}
                self.modules[name] = Scope(resource["properties"]["template"], given)

    def resources(self) -> Iterator[tuple[str, Json]]:
        """Yield resources with their symbol if the compiler keeps symbols, otherwise with their name."""
        resources = self.template["resources"]
        named = resources.items() if isinstance(resources, dict) else ((each["name"], each) for each in resources)
        yield from ((name, resource) for name, resource in named if not resource.get("existing"))

    def deployed(self) -> Iterator[Json]:
        """Yield every resource whose condition holds, including those of modules."""
        for name, resource in self.resources():
            if resource["type"] == "Microsoft.Resources/deployments":
                yield from self.modules[name].deployed() if name in self.modules else ()
                continue
            for index in range(self.read(resource.get("copy", {}).get("count", 1))):
                self.index = index
                if self.read(resource.get("condition", True)):
                    kept = {
                        key: value for key, value in resource.items() if key not in ("copy", "condition", "dependsOn")
                    }
                    yield self.read(kept)
            self.index = 0

    def outputs(self) -> Json:
        """Return the outputs, name → value."""
        return {name: self.read(output["value"]) for name, output in self.template.get("outputs", {}).items()}

    def read(self, value: Any) -> Any:
        """Return a part of the template with its expressions evaluated."""
        if isinstance(value, dict):
            return {self.read(key): self.read(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if isinstance(value, str) and value.startswith("[["):
            return value[1:]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            return _Expression(value[1:-1], self).value()
        return value

    def parameter(self, name: str) -> Any:
        if name in self.given:
            return self.given[name]
        return self.read(self.template["parameters"][name]["defaultValue"])

    def variable(self, name: str) -> Any:
        variables = self.template["variables"]
        if name in variables:
            return self.read(variables[name])
        (loop,) = (each for each in variables["copy"] if each["name"] == name)
        outer, values = self.index, []
        for index in range(self.read(loop["count"])):
            self.index = index
            values.append(self.read(loop["input"]))
        self.index = outer
        return values

    def reference(self, name: str, *arguments: str) -> Any:
        if name in self.modules:
            return {"outputs": {key: {"value": value} for key, value in self.modules[name].outputs().items()}}
        return Later(f"reference({', '.join((name, *arguments))})")


class Deployment:
    """The resources of a template with some parameters."""

    def __init__(self, template: Json, **parameters: Any) -> None:
        self.scope = Scope(template, parameters)
        self.resources = list(self.scope.deployed())

    def all(self, kind: str) -> list[Json]:
        return [resource for resource in self.resources if resource["type"] == kind]

    def one(self, kind: str) -> Json:
        (resource,) = self.all(kind)
        return resource

    @property
    def settings(self) -> dict[str, str]:
        return self.one("Microsoft.Web/sites/config")["properties"]


class _Expression:
    """A recursive-descent parser of one expression. `if` is lazy: the other branch is parsed, but not called."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._tokens = _TOKEN.findall(text)
        self._scope = scope
        assert "".join(self._tokens) == re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text), f"cannot read {text}"

    def value(self) -> Any:
        thunk = self._term()
        assert not self._tokens, f"left over: {self._tokens}"
        return thunk()

    def _term(self) -> Callable[[], Any]:
        token = self._tokens.pop(0)
        if token.startswith("'"):
            thunk = _constant(token[1:-1].replace("''", "'"))
        elif token.lstrip("-").isdigit():
            thunk = _constant(int(token))
        else:
            thunk = self._call(token)
        while self._tokens and self._tokens[0] in ".[":
            thunk = self._member(thunk)
        return thunk

    def _call(self, name: str) -> Callable[[], Any]:
        assert self._tokens.pop(0) == "("
        arguments = []
        while self._tokens[0] != ")":
            arguments.append(self._term())
            if self._tokens[0] == ",":
                self._tokens.pop(0)
        self._tokens.pop(0)
        return lambda: _call(name, arguments, self._scope)

    def _member(self, thunk: Callable[[], Any]) -> Callable[[], Any]:
        if self._tokens.pop(0) == ".":
            key = _constant(self._tokens.pop(0))
        else:
            key = self._term()
            assert self._tokens.pop(0) == "]"

        def member() -> Any:
            whole = thunk()
            return Later(f"{whole}.{key()}") if isinstance(whole, Later) else whole[key()]

        return member


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _call(name: str, arguments: list[Callable[[], Any]], scope: Scope) -> Any:
    if name == "if":
        condition, then, otherwise = arguments
        return then() if condition() else otherwise()
    values = [argument() for argument in arguments]
    match name:
        case "parameters":
            return scope.parameter(*values)
        case "variables":
            return scope.variable(*values)
        case "reference":
            return scope.reference(*values)
        case "copyIndex":
            return scope.index
        case _:
            return FUNCTIONS[name](*values)


def _format(template: str, *values: Any) -> str:
    text = re.sub(r"\{(\d+)\}", lambda match: str(values[int(match[1])]), template)
    return Later(text) if any(isinstance(value, Later) for value in values) else text


def _union(*parts: Any) -> Any:
    """Merge objects, where later values win, or lists, where repeated values are left out."""
    if all(isinstance(part, list) for part in parts):
        return list(dict.fromkeys(value for part in parts for value in part))
    return {key: value for part in parts for key, value in part.items()}


def _later(name: str) -> Callable[..., Later]:
    return lambda *values: Later(f"{name}({', '.join(map(str, values))})")


def _fail(message: str) -> None:
    raise Refused(message)


class Refused(Exception):
    """The template called `fail()`."""


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "flatten": lambda parts: [value for part in parts for value in part],
    "and": lambda *values: all(values),
    "cidrSubnet": lambda network, bits, index: str(list(ip_network(network).subnets(new_prefix=bits))[index]),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *parts: [value for part in parts for value in part],
    "contains": lambda whole, part: part in whole,
    "createArray": lambda *values: list(values),
    "createObject": lambda *pairs: dict(zip(pairs[::2], pairs[1::2], strict=True)),
    "deployer": lambda: {"objectId": "who-deploys"},
    "deployment": lambda: {"name": "transcription-main"},
    "div": lambda a, b: a // b,
    "empty": lambda value: not value,
    "environment": lambda: {"suffixes": {"storage": "core.windows.net"}},
    "equals": lambda a, b: a == b,
    "fail": _fail,
    "false": lambda: False,
    "format": _format,
    "greater": lambda a, b: a > b,
    "guid": _later("guid"),
    "items": lambda each: [{"key": key, "value": each[key]} for key in sorted(each)],
    "length": len,
    "less": lambda a, b: a < b,
    "listKeys": _later("listKeys"),
    "max": max,
    "min": min,
    "mul": lambda a, b: a * b,
    "not": lambda value: not value,
    "null": lambda: None,
    "or": lambda *values: any(values),
    "replace": lambda text, old, new: text.replace(old, new),
    "resourceGroup": lambda: {"id": "the-group", "location": "westeurope"},
    "resourceId": lambda kind, *names: "/".join((kind, *names)),
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "subscriptionResourceId": lambda kind, *names: "/".join((kind, *names)),
    "tenant": lambda: Later("tenant()"),
    "toLower": str.lower,
    "trim": str.strip,
    "true": lambda: True,
    "tryGet": lambda whole, key: whole.get(key),
    "union": _union,
    "uniqueString": lambda *_: "unique0string",
}
