"""Every operation of the contract as a request, so that a new operation is in the tests by itself."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import yaml

from openapi.bridge.document.operations import Operation
from openapi.contract import CONTRACT_FILE, contract

# Read without any code of ours.
DOCUMENT = yaml.load(CONTRACT_FILE.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)

Send = Callable[..., httpx.Response]


class Case(NamedTuple):
    """An operation and a method that reaches it: HEAD stands beside GET."""

    operation: Operation
    method: str

    @property
    def is_public(self) -> bool:
        """Whether the document frees the operation of security."""
        declared = DOCUMENT["paths"][self.operation.path][self.operation.method.lower()]
        return bool([] == declared.get("security"))


def _cases() -> Iterator[Case]:
    for operation in contract().operations.values():
        yield Case(operation, operation.method)
        if operation.method == "GET":
            yield Case(operation, "HEAD")


CASES = list(_cases())


def name(case: Case) -> str:
    """A case's name in a test's."""
    return f"{case.method}-{case.operation.id}"


def ask(send: Send, case: Case, user: str, task: int, **headers: str) -> httpx.Response:
    """Sends the request that the contract's own examples make of an operation.

    Args:
        send: as `httpx.Client.request`.
        user: whose path is meant.
        task: the number of the task that is meant.
    """
    operation = case.operation
    path = {p.node["name"]: p.node.get("example") for p in operation.parameters if p.node["in"] == "path"}
    path |= {operation.owner: user, "id": task}
    query = [p.node for p in operation.parameters if p.node["in"] == "query" and p.node.get("required")]
    sent: dict[str, Any] = {
        "headers": headers,
        "params": {parameter["name"]: parameter["example"] for parameter in query},
    }
    if operation.body is not None:
        media_type, content = next(iter(operation.body.node["content"].items()))
        sent["content"] = json.dumps(next(iter(content["examples"].values()))["value"])
        sent["headers"] = {"Content-Type": media_type, **headers}
    quoted = {name: quote(str(value), safe="") for name, value in path.items()}
    return send(case.method, operation.path.format_map(quoted), **sent)
