"""The body of a refusal in the form that the contract has for it."""

from collections.abc import Callable
from functools import cache
from typing import Any

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Place, pointer_to
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import Refusal
from openapi.bridge.media_types import JSON, read_media_type

PROBLEM = "application/problem+json"
# How deep the form of an error is followed; real ones have two or three levels.
_DEEPEST = 4
# Members that may be left out, but mean what a refusal has to say.
_SENTENCES = {"error", "message", "msg", "detail", "title", "description", "reason"}
_MEANT = _SENTENCES | {"status", "code"}


class ErrorBodies:
    """Writes the bodies of refusals: `{"error": <sentence>}` unless the contract has another form for them.

    An operation's own response for the status comes first, by its number, its range (`4XX`) or `default`, then the
    first response of the contract that stands for an error.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._form_of = cache(self._find_form)

    def body(
        self, refusal: Refusal, operation: Operation | None, problem: Callable[[], dict[str, Any]]
    ) -> tuple[str, Any]:
        """The media type and the body; what the contract's form leaves no room for is said in our own.

        Args:
            problem: makes the one of RFC 9457, for a contract that has no other form.
        """
        form = self._form_of(operation and operation.id, refusal.status)
        ours = {"error": refusal.sentence}
        if form is None:
            return JSON, ours
        media_type, schema = form
        if media_type.lower().startswith(PROBLEM):
            whole = problem()
            named = {name: value for name, value in whole.items() if name != "errors"}
            if found := [each for each in (whole, named) if schema.is_valid(each)]:
                return media_type, found[0]
        # A form that names no members leaves them to us.
        body = _filled(schema, "", refusal, 0) or ours
        return (media_type, body) if schema.is_valid(body) else (JSON, ours)

    def _find_form(self, operation_id: str | None, status: int) -> tuple[str, Schema] | None:
        operations = self._contract.operations
        if operation_id is not None and (response := operations[operation_id].response(status)):
            return self._form_in(response)
        errors = (
            self._form_in(response)
            for operation in operations.values()
            for name, response in operation.responses.items()
            if name[0] in "45d"
        )
        return next((form for form in errors if form is not None), None)

    def _form_in(self, response: Place) -> tuple[str, Schema] | None:
        """The media type and the schema of the JSON that a response declares."""
        for key, node in response.node.get("content", {}).items():
            media_type = read_media_type(key)
            if media_type is not None and media_type.is_json and "schema" in node:
                pointer = pointer_to(response.pointer, "content", key, "schema")
                return JSON if "*" in key else key, self._contract.answers.at(pointer)
        return None


def _filled(schema: Schema, name: str, refusal: Refusal, depth: int) -> Any:
    """A value for the member `name`; whether it is valid is for the validator to say."""
    layers = list(schema.layers())
    for layer in layers:
        if "const" in layer.node:
            return layer.node["const"]
    types = schema.types()
    members = schema.members()
    if (members or "object" in types) and depth < _DEEPEST:
        meant = schema.required() | _MEANT
        said = {name: member for name, member in members.items() if name in meant}
        return {name: _filled(member, name, refusal, depth + 1) for name, member in said.items()}
    if types & {"integer", "number"}:
        return refusal.status
    if types & {"boolean", "array"}:
        return False if "boolean" in types else []
    if name in _SENTENCES:
        return refusal.sentence
    if not name:
        return refusal.sentence if types else None
    given = [value for layer in layers for key in ("enum", "examples") for value in layer.node.get(key, ())]
    return next(iter(given), refusal.name)
