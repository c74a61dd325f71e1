"""Parameters from the wire to typed values, as the contract's `style`, `explode` and schemas say (OpenAPI 3.1)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import cookie_parser
from starlette.types import Scope

from openapi import strict_json
from openapi.contract import Contract, Operation, Place
from openapi.errors import BadRequest
from openapi.sentences import sentence

Values = Mapping[str, Sequence[str]]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,4000})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DELIMITERS = {"simple": ",", "form": ",", "spaceDelimited": " ", "pipeDelimited": "|", "label": ".", "matrix": ","}
_DEFAULT_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}


class ParameterReader:
    """Reads and validates every parameter of one operation; all that can be is prepared when it is made.

    The owner parameter is left out: it has been compared with the token before, and handlers have the tenant.
    """

    def __init__(self, contract: Contract, operation: Operation) -> None:
        self._parameters = [
            _Parameter(contract, place) for place in operation.parameters if not place.node.get("x-owner")
        ]
        self._locations = {parameter.location for parameter in self._parameters}
        self._headers = {p.key.encode("latin-1"): p.key for p in self._parameters if p.location == "header"}
        self._query = [parameter for parameter in self._parameters if parameter.location == "query"]

    @property
    def arguments(self) -> list[str]:
        """The handler's keyword arguments: `If-Match` becomes `if_match`."""
        return [parameter.argument for parameter in self._parameters]

    def read(self, scope: Scope) -> dict[str, Any]:
        """The value of each parameter by its argument name, None where an optional one is absent.

        Raises:
            BadRequest: for the first parameter that breaks a rule, and for one that the contract does not know.
        """
        sources = {
            "path": {name: (value,) for name, value in scope["path_params"].items()},
            "query": self._read_query(scope["query_string"]),
            "header": self._read_headers(scope["headers"]) if "header" in self._locations else {},
            "cookie": _read_cookies(scope["headers"]) if "cookie" in self._locations else {},
        }
        return {parameter.argument: parameter.read(sources[parameter.location]) for parameter in self._parameters}

    def _read_query(self, query_string: bytes) -> Values:
        if not query_string:
            return {}
        if _BROKEN_ESCAPE.search(query_string):
            raise BadRequest("The query must be percent-encoded UTF-8")
        try:
            pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise BadRequest("The query must be percent-encoded UTF-8") from None
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        if not all(any(parameter.takes(name) for parameter in self._query) for name in values):
            known = ", ".join(f"'{parameter.name}'" for parameter in self._query) or "none"
            raise BadRequest(f"Unknown query parameter. Known here: {known}")
        return values

    def _read_headers(self, headers: Sequence[tuple[bytes, bytes]]) -> Values:
        values: dict[str, list[str]] = {}
        for name, value in headers:
            if name in self._headers:
                values.setdefault(self._headers[name], []).append(value.decode("latin-1"))
        return values


def _read_cookies(headers: Sequence[tuple[bytes, bytes]]) -> Values:
    texts = [value.decode("latin-1") for name, value in headers if name == b"cookie"]
    return {name: (value,) for name, value in cookie_parser("; ".join(texts)).items()}


class _Parameter:
    """One parameter: how it is taken apart, made a value of its type and validated."""

    def __init__(self, contract: Contract, place: Place) -> None:
        node = place.node
        self.name: str = node["name"]
        self.location: str = node["in"]
        self.key = self.name.lower() if self.location == "header" else self.name
        self.argument = re.sub(r"\W", "_", self.name).lower()
        self._required: bool = node.get("required", False)
        self._contract = contract
        self._style: str = node.get("style", _DEFAULT_STYLES[self.location])
        self._explode: bool = node.get("explode", self._style == "form")
        if "content" in node:
            media_type = next(iter(node["content"]))
            self._schema = place / "content" / media_type / "schema"
            self._take: Callable[[Values], Any] = self._take_json
        else:
            self._schema = place / "schema"
            self._take = self._taker()
        self._default = next((s.node["default"] for s in _layers(contract, self._schema) if "default" in s.node), None)
        self._validator = contract.validator(self._schema)

    def takes(self, name: str) -> bool:
        """Whether a query parameter of this name on the wire belongs here."""
        if self._style == "deepObject":
            return name.startswith(f"{self.name}[") and name.endswith("]")
        if self._explode and self._take == self._take_exploded_object:
            return name in self._properties
        return name == self.name

    def read(self, source: Values) -> Any:
        """The typed, validated value from the texts in `source`; the default or None where it is absent."""
        value = self._take(source)
        if value is None:
            if self._required:
                raise BadRequest(f"{self.name} is required")
            return self._default
        if not self._validator.is_valid(value):
            errors = self._validator.iter_errors(value)
            raise BadRequest(sentence(self._contract.document, self._schema, self.name, errors))
        return value

    def _taker(self) -> Callable[[Values], Any]:
        types = _types(self._contract, self._schema)
        self._to_value = _converter(types)
        if "array" in types:
            self._to_item = _converter(_types(self._contract, _below(self._contract, self._schema, "items")))
            return self._take_array
        if "object" in types:
            self._properties = self._property_converters()
            exploded_query = self._explode and self._style == "form"
            if self._style == "deepObject":
                return self._take_deep_object
            return self._take_exploded_object if exploded_query else self._take_object
        return self._take_primitive

    def _property_converters(self) -> dict[str, Callable[[str], Any]]:
        properties = _below(self._contract, self._schema, "properties")
        return {} if properties is None else {
            name: _converter(_types(self._contract, properties / name)) for name in properties.node
        }

    def _text(self, source: Values, name: str) -> str | None:
        texts = source.get(name)
        if texts is None:
            return None
        if len(texts) > 1:
            raise BadRequest(f"{self.name} must be given once")
        return texts[0]

    def _bare_text(self, source: Values) -> str | None:
        """The text without the prefix that the styles `label` and `matrix` put before it."""
        text = self._text(source, self.key)
        if text is not None and self._style == "label":
            return text.removeprefix(".")
        if text is not None and self._style == "matrix":
            return text.removeprefix(";").removeprefix(f"{self.name}=")
        return text

    def _take_primitive(self, source: Values) -> Any:
        text = self._bare_text(source)
        return None if text is None else self._to_value(text)

    def _take_json(self, source: Values) -> Any:
        text = self._text(source, self.key)
        try:
            return None if text is None else strict_json.loads(text.encode())
        except strict_json.JSONError:
            raise BadRequest(f"{self.name} must be valid JSON") from None

    def _take_array(self, source: Values) -> Any:
        if self._explode and self._style == "form":
            texts: Sequence[str] | None = source.get(self.key)
        else:
            text = self._bare_text(source)
            texts = None if text is None else self._split(text)
        return None if texts is None else [self._to_item(text) for text in texts]

    def _split(self, text: str) -> list[str]:
        if self._style == "matrix" and self._explode:
            return text.split(f";{self.name}=")
        return text.split(_DELIMITERS[self._style]) if text else []

    def _take_object(self, source: Values) -> Any:
        text = self._bare_text(source)
        if text is None:
            return None
        delimiter = ";" if self._style == "matrix" and self._explode else _DELIMITERS[self._style]
        parts = text.split(delimiter) if text else []
        if self._explode:
            pairs = [part.partition("=")[::2] for part in parts]
        elif len(parts) % 2:
            raise BadRequest(f"{self.name} must be pairs of a name and a value")
        else:
            pairs = list(zip(parts[::2], parts[1::2], strict=True))
        return self._object(pairs)

    def _take_exploded_object(self, source: Values) -> Any:
        given = [(name, self._text(source, name)) for name in self._properties if name in source]
        return self._object((name, text) for name, text in given if text is not None) if given else None

    def _take_deep_object(self, source: Values) -> Any:
        names = [name for name in source if self.takes(name)]
        pairs = [(name[len(self.name) + 1 : -1], self._text(source, name) or "") for name in names]
        return self._object(pairs) if pairs else None

    def _object(self, pairs: Any) -> dict[str, Any]:
        return {name: self._properties.get(name, str)(text) for name, text in pairs}


def _layers(contract: Contract, schema: Place | None) -> Iterator[Place]:
    """A schema and those that its `$ref` and `allOf` lay below it, the outermost first."""
    if schema is None or not isinstance(schema.node, dict):
        return
    yield schema
    if "$ref" in schema.node:
        yield from _layers(contract, contract.follow(Place("", {"$ref": schema.node["$ref"]})))
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, part in enumerate(schema.node.get(keyword, ())):
            yield from _layers(contract, Place(f"{schema.pointer}/{keyword}/{index}", part))


def _below(contract: Contract, schema: Place, keyword: str) -> Place | None:
    return next((layer / keyword for layer in _layers(contract, schema) if keyword in layer.node), None)


def _types(contract: Contract, schema: Place | None) -> set[str]:
    """The JSON types that the schema names; an `enum` or `const` names those of its values."""
    types: set[str] = set()
    for layer in _layers(contract, schema):
        declared = layer.node.get("type", [])
        types.update([declared] if isinstance(declared, str) else declared)
        values = [*layer.node.get("enum", []), *([layer.node["const"]] if "const" in layer.node else [])]
        if not declared:
            types.update(_type_of(value) for value in values)
    return types


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "string")


def _converter(types: set[str]) -> Callable[[str], Any]:
    """From a text to the first of the types that can be meant by it; else the text, which then fails validation."""

    def convert(text: str) -> Any:
        if "integer" in types and _INTEGER.fullmatch(text):
            return int(text)
        if "number" in types and _NUMBER.fullmatch(text):
            return float(text) if set(text) & set(".eE") else int(text)
        if "boolean" in types and text in ("true", "false"):
            return text == "true"
        if "null" in types and "string" not in types and text == "":
            return None
        return text

    return convert if types & {"integer", "number", "boolean", "null"} else str
