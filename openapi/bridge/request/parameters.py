"""The parameters of one operation, from the request to typed and valid values."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.types import Scope

from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Place, schema_holder
from openapi.bridge.failures import BadRequest, Violation, violations_of
from openapi.bridge.python_names import python_names
from openapi.bridge.request.contents import Defaults
from openapi.bridge.request.cookies import read_cookies
from openapi.bridge.request.percent_encoding import pairs_of
from openapi.bridge.request.sentences import SpeakingValidator
from openapi.bridge.request.styles import ABSENT, StyleReader, Texts

# An unknown parameter has whatever name the client gave it.
_LONGEST_NAME = 100


def arguments_of(operation: Operation) -> dict[str, Place]:
    """The parameters by the handler's keyword arguments: `If-Match` becomes `if_match`, `from` `from_`, a second `id`
    `id_2`, and so does what has the name of another argument of a handler."""
    places = [place for place in operation.parameters if place.node.get("x-owner") is not True]
    names = (place.node["name"].lower() for place in places)
    reserved = ("self", "caller", *(["body"] if operation.body else []))
    return dict(zip(python_names(names, reserved), places, strict=True))


class ParameterReader:
    """Reads and validates every parameter of one operation; all that can be is prepared when it is made.

    The owner parameter is left out: it has been compared with the token before, and handlers have the tenant.

    Raises:
        ContractError: for parameters that cannot be read.
    """

    def __init__(self, contract: Contract, operation: Operation) -> None:
        by_argument = arguments_of(operation)
        self._parameters = [_Parameter(contract, *each) for each in by_argument.items()]
        self._query = [parameter for parameter in self._parameters if parameter.location == "query"]
        self._query_keys = {parameter.key for parameter in self._query}
        readers = [parameter.reader for parameter in self._query]
        for reader in readers:
            reader.others = [other for other in readers if other is not reader]
        self._headers = {p.key.encode("latin-1"): p.key for p in self._parameters if p.location == "header"}
        self._has_cookies = any(parameter.location == "cookie" for parameter in self._parameters)
        self.arguments = list(by_argument)
        """The handler's keyword arguments."""

    def read(self, scope: Scope) -> dict[str, Any]:
        """The value of each parameter by its argument name, None where an optional one is absent.

        Raises:
            BadRequest: for an unknown query parameter, else for the first that breaks a rule; with all violations.
        """
        texts = self._texts(scope)
        try:
            if texts["query"]:
                self._check_names(texts["query"])
            return {
                each.argument: each.read(found)
                if each.key in (found := texts[each.location]) or each.is_read_always
                else each.default
                for each in self._parameters
            }
        except BadRequest as refused:
            raise BadRequest(refused.reason, partial(self._violations, texts)) from None

    def _texts(self, scope: Scope) -> dict[str, Texts]:
        query = scope["query_string"]
        return {
            "path": {name: (value,) for name, value in scope["path_params"].items()},
            "query": pairs_of(query, "The query", "parameters", BadRequest) if query else {},
            "header": self._read_headers(scope["headers"]) if self._headers else {},
            "cookie": _read_cookies(scope["headers"]) if self._has_cookies else {},
        }

    def _check_names(self, query: Texts) -> None:
        others = [name for name in query if name not in self._query_keys]
        unknown = [name for name in others if not any(each.reader.takes(name) for each in self._query)]
        if unknown:
            known = ", ".join(f"'{parameter.name}'" for parameter in self._query) or "none"
            sentence = f"Unknown query parameter. Known here: {known}"
            violations = [Violation(sentence, "unknown", parameter=name[:_LONGEST_NAME]) for name in unknown]
            raise BadRequest(sentence, violations)

    def _violations(self, texts: Mapping[str, Texts]) -> Iterator[Violation]:
        checks = [partial(self._check_names, texts["query"])]
        checks += [partial(each.read, texts[each.location]) for each in self._parameters]
        return violations_of(checks)

    def _read_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Texts:
        texts: dict[str, list[str]] = {}
        for name, value in headers:
            if name in self._headers:
                texts.setdefault(self._headers[name], []).append(value.decode("latin-1"))
        return texts


def _read_cookies(headers: Sequence[tuple[bytes, bytes]]) -> Texts:
    text = b";".join(value for name, value in headers if name == b"cookie").decode("latin-1")
    return {name: (value,) for name, value in read_cookies(text).items()}


class _Parameter:
    """One parameter: where it is found, how it is read, and its rules."""

    def __init__(self, contract: Contract, argument: str, place: Place) -> None:
        node = place.node
        pointer = f"{schema_holder(place).pointer}/schema"
        schema = contract.requests.at(pointer)
        self.name: str = node["name"]
        self.location: str = node["in"]
        self.argument = argument
        self.reader = StyleReader(node, schema)
        self.key = self.reader.key
        self._plain = self.reader.plain
        self._required: bool = node.get("required", False)
        self._defaults = Defaults(schema)
        self.default = self._defaults.of_nothing()
        # Where its name is not there, most often there is nothing to do.
        is_copied = isinstance(self.default, dict | list)
        self.is_read_always = self._required or is_copied or self.reader.is_spread_object
        self._takes_empty = node.get("allowEmptyValue", False) and self.location == "query"
        self._validator = SpeakingValidator(contract, pointer, self.name)

    def read(self, texts: Texts) -> Any:
        """The typed, valid value from the texts of its location; the default or None where it is absent."""
        if self._plain is not None and len(given := texts.get(self.key, ())) == 1:
            # Most values are one text, and right; whatever else there is to say of one is said below.
            value: Any = (text := self.reader.decode(given[0]))
            for is_one, meaning in self._plain:
                if is_one(text):
                    value = meaning(text)
                    break
            if self._validator.is_valid(value):
                return value
        value = self.reader.read(texts)
        if value is not ABSENT:
            if self._validator.is_valid(value):
                return self._defaults.fill(value)
            # The contract allows an empty value; where its schema does not, no value is meant.
            if not (self._takes_empty and texts.get(self.key) == [""]):
                raise self._validator.refusal(value)
        if self._required:
            raise self._validator.missing()
        return self._defaults.of_nothing()
