"""How a parameter's value is taken apart, by its `style`, `explode` and schema (OpenAPI 3.1, "Style Values")."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import isfinite
from typing import Any, Final
from urllib.parse import unquote_plus

from openapi.bridge.document.places import Json
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import BadRequest
from openapi.bridge.media_types import MediaType, read_media_type
from openapi.bridge.request import strict_json
from openapi.bridge.request.sentences import capital

# The texts of one part of a request, by name; those of the query are still percent-encoded.
Texts = Mapping[str, Sequence[str]]
Convert = Callable[[str], Any]

ABSENT: Final = object()

# How a parameter is written where it does not say, by its location.
DEFAULT_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,4000})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


class StyleReader:
    """Reads one parameter: a primitive, an array of primitives or an object with primitive members.

    A delimiter that is percent-encoded is data if it stands beside one that is not. Where all are encoded they
    delimit, because many clients encode a whole value, and because a path arrives decoded.

    Args:
        parameter: the contract's parameter object.
        schema: its schema.
        types: those of the schema as which it is read; all of them if they are not given.
    """

    read: Callable[[Texts], Any]
    """The typed value in the texts, not validated yet, or ABSENT; raises BadRequest where it cannot be read."""

    is_spread_object = False
    """Whether its members stand beside other parameters, so that it is not found by its name."""

    others: "Sequence[StyleReader]" = ()
    """The readers of the query parameters beside this one."""

    plain: "list[tuple[Callable[[str], object], Convert]] | None" = None
    """What a text that is the whole value can mean (`meanings`); None where the value has to be taken apart."""

    def __init__(self, parameter: Json, schema: Schema, types: frozenset[str] | None = None) -> None:
        types = frozenset(schema.types()) if types is None else types
        self.name: str = parameter["name"]
        self._subject = capital(self.name)
        self._location: str = parameter["in"]
        self._key = key_of(parameter)
        self._style: str = parameter.get("style", DEFAULT_STYLES[self._location])
        self._explode: bool = parameter.get("explode", self._style == "form")
        # A list field of HTTP may come on several lines, which are one list (RFC 9110, section 5.3).
        self._is_list = parameter.get("x-list") is True and self._location == "header"
        self.decode: Convert = unquote_plus if self._location == "query" else str
        media_type = read_media_type(next(iter(parameter.get("content", ())), ""))
        self._prefix, self._delimiter = self._punctuation(types)
        self._choose_reader(schema, types, media_type)
        plainer = [types - {"array"}, types - {"array", "object"}] if types & {"array", "object"} else []
        plainer += [types & {"string"}] if types & {"integer", "number", "boolean"} else []
        self.plainer = [each for each in dict.fromkeys(plainer) if each and each != types]
        """The types as which it can be read where the value is not valid by the ones that it is read as."""

    def _punctuation(self, types: Set[str]) -> tuple[str, str]:
        """What stands before the value and between its parts."""
        if self._style == "label":
            return ".", "." if self._explode else ","
        if self._style == "matrix":
            assignment = f";{self.name}="
            is_object = self._explode and "object" in types
            return (";", ";") if is_object else (assignment, assignment if self._explode else ",")
        return "", _DELIMITERS.get(self._style, ",")

    def _choose_reader(self, schema: Schema, types: Set[str], media_type: MediaType | None) -> None:
        is_spread = self._location in ("query", "cookie") and (self._explode or self._style == "deepObject")
        if media_type is not None and media_type.is_json:
            self.read = self._read_json
        elif media_type is not None:
            # A text of another media type is the value, whatever stands in it.
            self._convert = converter(types - {"array", "object"})
            self.read = self._read_primitive
        elif "array" in types:
            self._convert = _items(schema)
            self.read = self._read_repeated if is_spread else self._read_array
            self._is_list = self._location == "header"
        elif "object" in types:
            members = schema.members().items()
            self._members = {name: converter(member.types()) for name, member in members}
            # OpenAPI leaves open how a member's items are written: each as a parameter of its own, as clients do.
            self._lists = {name: _items(member) for name, member in members if "array" in member.types()}
            others = (layer.node.get("additionalProperties") for layer in schema.layers())
            is_open = next((each for each in others if each is not None), not members) is not False
            # How members of other names are read, or None where there can be no others.
            self._other = converter(schema.find("additionalProperties").types()) if is_open else None
            self.is_spread_object = is_spread
            self.read = self._read_spread if is_spread else self._read_object
        else:
            self._convert = converter(types)
            self.read = self._read_primitive
            self.plain = None if self._prefix else meanings(types)

    @property
    def is_free(self) -> bool:
        """Whether this is an object whose members are whatever query parameters nobody else takes."""
        is_open = self.is_spread_object and self._other is not None
        return is_open and self._location == "query" and self._style != "deepObject"

    def takes(self, name: str) -> bool:
        """Whether a query parameter of this name, as it is sent, belongs here."""
        return name == self._key or (self.is_spread_object and self._member(name) is not None)

    def _member(self, name: str) -> str | None:
        """The member that a query parameter of this name gives, None where it is not one of this object's."""
        if self._style == "deepObject":
            is_own = name.startswith(f"{self.name}[") and name.endswith("]")
            return name[len(self.name) + 1 : -1] if is_own else None
        is_left = self.is_free and not any(other.takes(name) for other in self.others)
        return name if name in self._members or is_left else None

    def _read_primitive(self, texts: Texts) -> Any:
        text = self._one(texts)
        return ABSENT if text is None else self._convert(self.decode(text))

    def _read_json(self, texts: Texts) -> Any:
        text = self._one(texts)
        if text is None:
            return ABSENT
        # Bytes reach us as Latin-1 in headers (RFC 9110, section 5.5), decoded from UTF-8 elsewhere.
        charset = "latin-1" if self._location in ("header", "cookie") else "utf-8"
        try:
            return strict_json.loads(self.decode(text).encode(charset))
        except strict_json.JSONError:
            raise BadRequest(f"{self._subject} must be valid JSON") from None

    def _read_repeated(self, texts: Texts) -> Any:
        given = texts.get(self._key)
        if given is None:
            return ABSENT
        if self._location == "cookie":
            given = given[0].split(f"&{self.name}=")
        return [self._convert(self.decode(text)) for text in given]

    def _read_array(self, texts: Texts) -> Any:
        text = self._one(texts)
        return ABSENT if text is None else [self._convert(part) for part in self._split(text)]

    def _read_spread(self, texts: Texts) -> Any:
        given = [(name, values) for sent, values in texts.items() if (name := self._member(sent)) is not None]
        lists = {
            name: [self._lists[name](self.decode(text)) for text in values]
            for name, values in given
            if name in self._lists
        }
        members = [(name, self.decode(self._once(values))) for name, values in given if name not in lists]
        value = lists | self._object(members)
        if self._key in texts and self._key not in value:
            # An object without members has no form of its own; Schemathesis writes it so.
            if any(texts[self._key]):
                raise BadRequest(f"{self._subject} must come as one parameter for each member")
            return value
        return value or ABSENT

    def _read_object(self, texts: Texts) -> Any:
        text = self._one(texts)
        if text is None:
            return ABSENT
        parts = self._split(text)
        if len(parts) % 2 if not self._explode else not all("=" in part for part in parts):
            raise BadRequest(f"{self._subject} must be pairs of a name and a value")
        if self._explode:
            return self._object(part.partition("=")[::2] for part in parts)
        return self._object(zip(parts[::2], parts[1::2], strict=True))

    def _object(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, text in pairs:
            if name in members:
                raise BadRequest(f"{self._subject} must name each member once")
            members[name] = self._members.get(name, self._other or str)(text)
        return members

    def _one(self, texts: Texts) -> str | None:
        """The text without what its style puts before it, or None."""
        given = texts.get(self._key)
        if given is None:
            return None
        text = self._once(given)
        if text.startswith(self._prefix):
            return text[len(self._prefix) :]
        if self._style == "matrix" and text == f";{self.name}":
            return ""
        raise BadRequest(f"{self._subject} must begin with '{self._prefix}'")

    def _once(self, given: Sequence[str]) -> str:
        if len(given) > 1 and not self._is_list:
            raise BadRequest(f"{self._subject} must be given once")
        return ", ".join(given)

    def _split(self, text: str) -> list[str]:
        delimiter = self._delimiter
        if self._style == "label" and delimiter not in text:
            # OpenAPI 3.1.0 has dots where 3.1.1 has commas, as RFC 6570 does.
            delimiter = "."
        parts = list(map(self.decode, text.split(delimiter))) if text else []
        if len(parts) == 1:
            parts = parts[0].split(delimiter)
        return [part.strip(" \t") for part in parts] if self._location == "header" else parts


def key_of(parameter: Json) -> str:
    """The name under which a parameter's texts are found: headers in lower case."""
    name: str = parameter["name"]
    return name.lower() if parameter["in"] == "header" else name


def _items(schema: Schema) -> Convert:
    return converter(schema.find("items").types())


def converter(types: Set[str]) -> Convert:
    """From a text to the first of the types that it can mean; else the text, which then fails validation."""

    known = meanings(types)

    def convert(text: str) -> Any:
        for is_one, meaning in known:
            if is_one(text):
                return meaning(text)
        return text

    return convert if known else str


def meanings(types: Set[str]) -> "list[tuple[Callable[[str], object], Convert]]":
    """What a text can mean beside itself: what tells that it does, and what makes the value, the first one first."""
    known: list[tuple[Callable[[str], object], Convert]] = []
    if "integer" in types:
        known.append((_INTEGER.fullmatch, int))
    if "number" in types:
        known.append((_NUMBER.fullmatch, _number))
    if "boolean" in types:
        known.append((("true", "false").__contains__, "true".__eq__))
    if "null" in types and "string" not in types:
        known.append(("".__eq__, lambda _empty: None))
    return known


def _number(text: str) -> Any:
    """The number as JSON would have it; one that a double cannot hold stays a text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text)
    return value if isfinite(value) else text
