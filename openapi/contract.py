"""The contract: `openapi.yaml`, read and checked once, and the questions that the rest of the service asks it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

from openapi.checks import METHODS, ContractError, Json, check_document, compile_schema, escape, look_up, parse_yaml

CONTRACT_FILE = Path(__file__).with_name("openapi.yaml")


class Place(NamedTuple):
    """A node of the document and the JSON pointer that leads to it."""

    pointer: str
    node: Json

    def __truediv__(self, key: str) -> "Place":
        return Place(f"{self.pointer}/{escape(key)}", self.node[key])


class Refusal(NamedTuple):
    """What the contract says of one response in `components.responses` that refuses a request."""

    status: int
    sentence: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Operation:
    """One method of one path; the path's own parameters are merged in and `$ref`s are followed."""

    id: str
    method: str
    path: str
    tag: str
    parameters: tuple[Place, ...]
    body: Place | None
    responses: Mapping[str, Json]
    secured: bool

    @property
    def owner(self) -> str | None:
        """The path parameter that must equal the token's `sub` (`x-owner`), if there is one."""
        return next((p.node["name"] for p in self.parameters if p.node.get("x-owner")), None)

    @property
    def success(self) -> int:
        """The status of an ordinary answer: the lowest 2xx that the contract names."""
        return int(min(status for status in self.responses if status.startswith("2")))


class Contract:
    """An OpenAPI 3.1 document that has passed every check of `openapi.checks`.

    Args:
        text: the document as YAML; it is published as it is.

    Raises:
        ContractError: with one line that names the place and the fault.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.document: Json = parse_yaml(text)
        check_document(self.document)

    @classmethod
    def load(cls, path: Path = CONTRACT_FILE) -> "Contract":
        """The contract in the file `path`; one that cannot be read is a ContractError too."""
        try:
            return cls(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(f"{path.name} cannot be read as UTF-8 text") from error

    def follow(self, place: Place) -> Place:
        """`place`, or the place that its `$ref` leads to."""
        while "$ref" in place.node:
            pointer = place.node["$ref"].removeprefix("#")
            place = Place(pointer, look_up(self.document, pointer))
        return place

    def schema(self, name: str) -> Json:
        """The schema `components.schemas.<name>`."""
        return self.follow(Place("", {"$ref": f"#/components/schemas/{name}"})).node

    def validator(self, schema: Place) -> jsonschema_rs.Draft202012Validator:
        """A compiled JSON Schema 2020-12 validator whose `$ref`s are resolved in this document."""
        return compile_schema(self.document, schema.pointer)

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """Every operation by its operationId, in the document's order."""
        return {operation.id: operation for operation in self._operations()}

    def _operations(self) -> Iterator[Operation]:
        paths = Place("/paths", self.document["paths"])
        for path in paths.node:
            for method in METHODS:
                if method in paths.node[path]:
                    yield self._operation(path, method, paths / path, paths / path / method)

    def _operation(self, path: str, method: str, item: Place, declared: Place) -> Operation:
        parameters = {
            (parameter.node["in"], parameter.node["name"]): parameter
            for owner in (item, declared)
            for parameter in self._parameters(owner)
        }
        return Operation(
            id=declared.node["operationId"],
            method=method.upper(),
            path=path,
            tag=declared.node.get("tags", [""])[0],
            parameters=tuple(parameters.values()),
            body=self.follow(declared / "requestBody") if "requestBody" in declared.node else None,
            responses={
                status: self.follow(Place("", response)).node
                for status, response in declared.node["responses"].items()
            },
            secured=bool(declared.node.get("security", self.document.get("security"))),
        )

    def _parameters(self, owner: Place) -> Iterator[Place]:
        for index, parameter in enumerate(owner.node.get("parameters", ())):
            yield self.follow(Place(f"{owner.pointer}/parameters/{index}", parameter))

    @cached_property
    def allowed_methods(self) -> dict[str, str]:
        """The value of the `Allow` header by path; HEAD stands beside GET (RFC 9110, section 9.3.2)."""
        methods: dict[str, set[str]] = {}
        for operation in self.operations.values():
            names = {"GET", "HEAD"} if operation.method == "GET" else {operation.method}
            methods.setdefault(operation.path, set()).update(names)
        return {path: ", ".join(sorted(names)) for path, names in methods.items()}

    @cached_property
    def refusals(self) -> dict[str, Refusal]:
        """Status, sentence and fixed headers of each response component that an operation refers to."""
        prefix = "#/components/responses/"
        refusals = {}
        for item in self.document["paths"].values():
            for method in METHODS & item.keys():
                for status, response in item[method]["responses"].items():
                    if response.get("$ref", "").startswith(prefix):
                        name = response["$ref"].removeprefix(prefix)
                        refusals[name] = self._refusal(int(status), self.follow(Place("", response)).node)
        return refusals

    def _refusal(self, status: int, response: Json) -> Refusal:
        headers = {
            name: self.follow(Place("", header)).node.get("schema", {})
            for name, header in response.get("headers", {}).items()
        }
        return Refusal(
            status,
            fill(response.get("x-message", ""), {**response, "media-types": self._body_media_types}),
            {name: str(schema["const"]) for name, schema in headers.items() if "const" in schema},
        )

    @cached_property
    def _body_media_types(self) -> str:
        bodies = (operation.body.node["content"] for operation in self.operations.values() if operation.body)
        return " or ".join(dict.fromkeys(media_type for content in bodies for media_type in content))

    @cached_property
    def max_body_bytes(self) -> int:
        """The largest request body that is read, in bytes (`x-max-body-bytes` of a response component)."""
        responses = self.document["components"]["responses"].values()
        return int(next(r["x-max-body-bytes"] for r in responses if "x-max-body-bytes" in r))


def fill(sentence: str, rules: Mapping[str, Any]) -> str:
    """`sentence` with each `{keyword}` replaced by that rule's own value; a list becomes `'a' or 'b'`."""

    def value(match: re.Match[str]) -> str:
        rule = rules.get(match[1], match[0])
        return " or ".join(f"'{item}'" for item in rule) if isinstance(rule, list) else str(rule)

    return re.sub(r"\{([\w-]+)\}", value, sentence)


@cache
def contract() -> Contract:
    """The contract of this service, read at the first call."""
    return Contract.load()
