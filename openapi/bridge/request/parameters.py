"""The parameters of one operation, from the request to typed and valid values."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import cookie_parser
from starlette.types import Scope

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import ContractError, Place, copy_of
from openapi.bridge.document.schemas import json_schema_in
from openapi.bridge.failures import BadRequest
from openapi.bridge.request.percent_encoding import decoded
from openapi.bridge.request.sentences import SpeakingValidator
from openapi.bridge.request.styles import ABSENT, StyleReader, Texts, key_of


class ParameterReader:
    """Reads and validates every parameter of one operation; all that can be is prepared when it is made.

    The owner parameter is left out: it has been compared with the token before, and handlers have the tenant.

    Raises:
        ContractError: for parameters that cannot be read, or that a handler could not tell apart.
    """

    def __init__(self, contract: Contract, operation: Operation) -> None:
        places = [place for place in operation.parameters if not place.node.get("x-owner")]
        self._parameters = [_Parameter(contract, place) for place in places]
        self._query = [parameter for parameter in self._parameters if parameter.location == "query"]
        readers = [parameter.reader for parameter in self._query]
        for reader in readers:
            reader.others = [other for other in readers if other is not reader and not other.is_free]
        self._headers = {p.key.encode("latin-1"): p.key for p in self._parameters if p.location == "header"}
        self._has_cookies = any(parameter.location == "cookie" for parameter in self._parameters)
        repeated = {name for name in self.arguments if self.arguments.count(name) > 1}
        if repeated or (operation.body and "body" in self.arguments):
            raise ContractError(
                f"{operation.method} {operation.path}: two parameters, or one and the body, would be the handler's "
                f"argument {min(repeated, default='body')!r}; rename one"
            )

    @property
    def arguments(self) -> list[str]:
        """The handler's keyword arguments: `If-Match` becomes `if_match`."""
        return [parameter.argument for parameter in self._parameters]

    def read(self, scope: Scope) -> dict[str, Any]:
        """The value of each parameter by its argument name, None where an optional one is absent.

        Raises:
            BadRequest: for the first parameter that breaks a rule, and for one that the contract does not know.
        """
        texts: dict[str, Texts] = {
            "path": {name: (value,) for name, value in scope["path_params"].items()},
            "query": self._read_query(scope["query_string"]) if scope["query_string"] else {},
            "header": self._read_headers(scope["headers"]) if self._headers else {},
            "cookie": _read_cookies(scope["headers"]) if self._has_cookies else {},
        }
        return {
            parameter.argument: parameter.read(texts[parameter.location]) for parameter in self._parameters
        }

    def _read_query(self, query: bytes) -> Texts:
        if not query.isascii() or (b"%" in query and decoded(query) is None):
            raise BadRequest("The query must be percent-encoded UTF-8")
        texts: dict[str, list[str]] = {}
        for pair in query.decode("ascii").split("&"):
            if pair:
                name, _, value = pair.partition("=")
                texts.setdefault(unquote_plus(name), []).append(value)
        if not all(any(parameter.reader.takes(name) for parameter in self._query) for name in texts):
            known = ", ".join(f"'{parameter.name}'" for parameter in self._query) or "none"
            raise BadRequest(f"Unknown query parameter. Known here: {known}")
        return texts

    def _read_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Texts:
        texts: dict[str, list[str]] = {}
        for name, value in headers:
            if name in self._headers:
                texts.setdefault(self._headers[name], []).append(value.decode("latin-1"))
        return texts


def _read_cookies(headers: Sequence[tuple[bytes, bytes]]) -> Texts:
    texts = [value.decode("latin-1") for name, value in headers if name == b"cookie"]
    return {name: (value,) for name, value in cookie_parser("; ".join(texts)).items()}


class _Parameter:
    """One parameter: where it is found, how it is read, and its rules."""

    def __init__(self, contract: Contract, place: Place) -> None:
        node = place.node
        schema = json_schema_in(place) if "content" in node else place / "schema"
        self.name: str = node["name"]
        self.location: str = node["in"]
        self.key = key_of(node)
        self.argument = re.sub(r"\W", "_", self.name).lower()
        self.reader = StyleReader(node, contract.schema_at(schema))
        self._required: bool = node.get("required", False)
        self._default = next(iter(contract.schema_at(schema).defaults()), None)
        self._validator = SpeakingValidator(contract, schema, self.name)

    def read(self, texts: Texts) -> Any:
        """The typed, valid value from the texts of its location; the default or None where it is absent."""
        value = self.reader.read(texts)
        if value is not ABSENT:
            self._validator.check(value)
            return value
        if self._required:
            raise BadRequest(self._validator.missing())
        return copy_of(self._default)
