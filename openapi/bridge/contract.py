"""A contract: an OpenAPI document, read and checked once, and the questions that the rest of a service asks it."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from openapi.bridge.document import files
from openapi.bridge.document.checks import check_document
from openapi.bridge.document.dialects import in_2020_12
from openapi.bridge.document.files import Bundle
from openapi.bridge.document.grammar import parts, schemas_in
from openapi.bridge.document.operations import left_out, read_operations
from openapi.bridge.document.places import ContractError, Json, Place, follow
from openapi.bridge.document.schemas import Schemas
from openapi.bridge.document.views import ANSWER, REQUEST, view, view_of_faults
from openapi.bridge.failures import BadRequest, Failure, PathNotFound, Refusal
from openapi.bridge.python_names import python_names

MAX_BODY_BYTES = 1024 * 1024


class Contract:
    """An OpenAPI 3.1 document that has passed every check of `document/checks` and `document/operations`.

    Args:
        source: the document as YAML or JSON, which is published as it is, or with what it refers to in other files.

    Raises:
        ContractError: with a line for each thing that is wrong, which names the place and the fault.
    """

    def __init__(self, source: str | Bundle) -> None:
        bundle = source if isinstance(source, Bundle) else Bundle(source, files.parse(source), {})
        self.text = bundle.text
        self.published: Json = bundle.document
        """The document as its author has written it."""
        self.document: Json
        self.document, notes = in_2020_12(bundle.document)
        try:
            self.schemas, problems = check_document(self.document)
            operations = read_operations(self.document, problems)
            if problems:
                raise ContractError(*dict.fromkeys(problems))
        except ContractError as error:
            raise bundle.located(error) from None
        self.operations = {operation.id: operation for operation in operations}
        """Every operation by its operationId, in the document's order."""
        self.notes = [*notes, *left_out(self.document)]
        """A line for each thing that is not served as its author may expect."""

    @cached_property
    def handler_names(self) -> dict[str, str]:
        """What the handler of each operation is called, by operationId: `get-book` and `get_book` are two."""
        return dict(zip(self.operations, python_names(self.operations), strict=True))

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """The contract in the file `path`, and in those of its folder to which it refers."""
        return cls(files.load(path))

    def follow(self, place: Place) -> Place:
        """`place`, or the place that its `$ref` leads to."""
        return follow(self.document, place)

    def schema(self, name: str) -> Json:
        """The schema `components.schemas.<name>`, or what its `$ref` leads to."""
        node: Json = self.follow(Place("", {"$ref": f"#/components/schemas/{name}"})).node
        return node

    @cached_property
    def requests(self) -> Schemas:
        """The schemas as requests are held to them."""
        return view(self.document, self.schemas, REQUEST)

    @cached_property
    def faults(self) -> Schemas:
        """The same, for saying what is wrong with a request."""
        return view_of_faults(self.requests)

    @cached_property
    def answers(self) -> Schemas:
        """The schemas as answers are held to them."""
        return view(self.document, self.schemas, ANSWER)

    @cached_property
    def hides_members(self) -> bool:
        """Whether a schema has a member that no answer may have (`writeOnly`)."""
        return any(place.node.get("writeOnly") is True for place in schemas_in(parts(self.document)))

    def header_rule(self, name: str) -> Callable[[str], bool]:
        """Tells whether a text is a value of the header `name`, as the first schema that the document has for it says;
        False where there is none."""
        for kind, place in parts(self.document):
            if kind == "headers" and place.pointer.rpartition("/")[2].lower() == name.lower():
                header = self.follow(place)
                if "schema" in header.node:
                    return self.schemas.at(f"{header.pointer}/schema").is_valid
        return lambda _text: False

    def knows(self, failure: Failure) -> bool:
        """Whether the document or the failure's own class says how it is answered."""
        return type(failure).__name__ in self.refusals or "status_code" in vars(type(failure))

    def refusal(self, failure: Failure) -> Refusal:
        """The answer to a failure: the response component of its name where the document has one, else its class's."""
        kind = type(failure).__name__
        known = self.refusals.get(kind, Refusal(failure.status_code, failure.sentence))
        facts = {"x-max-body-bytes": self.max_body_bytes, **failure.facts}
        sentence = failure.reason if isinstance(failure, BadRequest) else fill(known.sentence, facts)
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()
        # What the document fixes is sent as it says.
        return Refusal(known.status, sentence, {**failure.headers, **known.headers}, name)

    @cached_property
    def refusals(self) -> dict[str, Refusal]:
        """Status, sentence and fixed headers of each response component, by name, that an operation refers to.

        No operation can refer to the refusal of an unknown path, so its sentence stands in `x-path-not-found`.
        """
        components = self.document.get("components", {}).get("responses", {})
        refusals = {
            name: self._refusal(int(status), response.node)
            for operation in self.operations.values()
            for status, response in operation.responses.items()
            for name, component in components.items()
            if self.follow(Place("", component)).node is response.node and status.isdecimal()
        }
        if (sentence := self.document.get("x-path-not-found")) is not None:
            refusals[PathNotFound.__name__] = Refusal(PathNotFound.status_code, sentence)
        return refusals

    def _refusal(self, status: int, response: Json) -> Refusal:
        sentence = response.get("x-message") or response["description"]
        headers = {}
        for name, header in response.get("headers", {}).items():
            rules = self.follow(Place("", self.follow(Place("", header)).node.get("schema", {}))).node
            if isinstance(rules, dict) and "const" in rules:
                headers[name] = str(rules["const"])
        return Refusal(status, fill(sentence, response), headers)

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers of every answer, by name (`x-headers`)."""
        headers = self.document.get("x-headers")
        return dict(headers) if isinstance(headers, dict) else {}

    @cached_property
    def max_body_bytes(self) -> int:
        """The largest request body that is read, in bytes (`x-max-body-bytes` of a response component; else 1 MiB)."""
        return self.limit("x-max-body-bytes", MAX_BODY_BYTES)

    def limit(self, name: str, default: int) -> int:
        """The number that a response component has under the extension `name`, or `default`."""
        for response in self.document.get("components", {}).get("responses", {}).values():
            if isinstance(limit := response.get(name), int):
                return limit
        return default

    @cached_property
    def owner_rules(self) -> Json:
        """The schema of the path parameter that names a user (`x-owner`); without one, no rules."""
        parameters = (place for operation in self.operations.values() for place in operation.parameters)
        owner = next((place for place in parameters if place.node.get("x-owner") is True), None)
        return self.follow(owner / "schema").node if owner else {}


def fill(sentence: str, rules: Mapping[str, Any]) -> str:
    """`sentence` with each `{keyword}` replaced by that rule's own value; a list becomes `'a' or 'b'`."""

    def value(match: re.Match[str]) -> str:
        rule = rules.get(match[1], match[0])
        return " or ".join(map(quoted, rule)) if isinstance(rule, list) else str(rule)

    return re.sub(r"\{([\w-]+)\}", value, sentence)


def quoted(value: Any) -> str:
    """A value as sentences show it: a string in quotation marks, anything else as JSON."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
