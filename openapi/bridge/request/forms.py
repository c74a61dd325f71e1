"""Forms, `application/x-www-form-urlencoded` and `multipart/form-data`: from fields to the object they stand for."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_plus

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from openapi.bridge.document.places import Json, pointer_to
from openapi.bridge.document.schemas import Schema
from openapi.bridge.failures import unreadable
from openapi.bridge.media_types import MediaType, read_media_type, read_parameters
from openapi.bridge.request import strict_json
from openapi.bridge.request.coercion import coercion_of
from openapi.bridge.request.percent_encoding import MAX_PAIRS, pairs_of
from openapi.bridge.request.sentences import capital
from openapi.bridge.request.styles import ABSENT, StyleReader

# What a part of a form may hold at most; the contract's limit of bytes holds beside these.
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_STYLE_KEYWORDS = ("style", "explode", "allowReserved")

# The parser logs what a client did wrong, with the bytes that it sent; the client gets a sentence instead.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class Field(NamedTuple):
    """One field of a form: its bytes, the media type that a part names, and its percent-encoded text if it came so."""

    content: bytes
    media_type: MediaType | None = None
    encoded: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether its sender says that it is JSON."""
        return self.media_type is not None and self.media_type.is_json


Fields = Mapping[str, Sequence[Field]]


class Form:
    """Reads forms of one schema, as the encoding objects of its members say (OpenAPI 3.1, "Encoding Object").

    A member with `style`, `explode` or `allowReserved` is written as a query parameter of its name would be, unless it
    comes as JSON, since OpenAPI 3.1.0 has these keywords ignored in multipart forms. Of the others, objects are JSON,
    the items of arrays are fields of the same name, and all else is text or bytes.

    Args:
        schema: the schema of the whole form.
        encoding: the encoding object of each member that has one.
    """

    def __init__(self, schema: Schema, encoding: Mapping[str, Json]) -> None:
        self._styled: dict[str, StyleReader] = {}
        self._members: dict[str, _Member] = {}
        for name, member in schema.members().items():
            rules = encoding.get(name, {})
            if any(keyword in rules for keyword in _STYLE_KEYWORDS):
                parameter = {**rules, "name": name, "in": "query"}
                self._styled[name] = StyleReader(parameter, member, pointer_to("", name))
            self._members[name] = _Member(name, member, rules.get("contentType", ""))
        for reader in self._styled.values():
            reader.others = [other for other in self._styled.values() if other is not reader]
        self._other = schema.find("additionalProperties")

    def read(self, fields: Fields) -> dict[str, Any]:
        """The object, not validated yet; the members that are files are bytes.

        Raises:
            BadRequest: for a field that cannot be read.
        """
        value: dict[str, Any] = {}
        texts: dict[str, list[str]] = {}
        for name, given in fields.items():
            is_plain = name in self._members and (name not in self._styled or given[0].is_json)
            if not is_plain and any(reader.is_named(name) for reader in self._styled.values()):
                texts[name] = [
                    field.encoded or quote(_text(field, capital(name), pointer_to("", name)))
                    for field in given
                ]
            else:
                member = self._members.get(name) or _Member(name, self._other, is_named=False)
                value[name] = member.read(given)
        for name, reader in self._styled.items():
            if name not in value and (read := reader.read(texts)) is not ABSENT:
                value[name] = read
        return value


class _Member:
    """One member of a form: an array of its fields, or the only one; where the schema has no type, it is what came."""

    def __init__(self, name: str, schema: Schema, content_types: str = "", *, is_named: bool = True) -> None:
        self._pointer = pointer_to("", name)
        # A name that the contract does not know is the client's, which no sentence repeats.
        self._subject = capital(name) if is_named else "A member of the request body"
        named = [read_media_type(each) for each in content_types.split(",")]
        self._media_types = [each for each in named if each is not None]
        is_json = any(each.is_json for each in self._media_types)
        self._is_array = "array" in schema.types() and not is_json
        item = schema.find("items") if self._is_array else schema
        coercion = coercion_of(item)
        self._types, self._convert = coercion.types, coercion.convert
        self._is_json = is_json or bool(self._types & {"array", "object"})
        # A string that is said to be JSON: some clients send it in quotation marks, most as it is.
        self._is_text = "string" in self._types and self._types <= {"string", "null"}
        is_file = any(each.type != "text" for each in self._media_types) and not is_json
        self._is_file = is_file or item.is_binary

    def read(self, fields: Sequence[Field]) -> Any:
        if self._is_array or (len(fields) > 1 and not self._types):
            return [self._read(field) for field in fields]
        if len(fields) > 1:
            raise unreadable(f"{self._subject} must be given once", self._pointer)
        return self._read(fields[0])

    def _read(self, field: Field) -> Any:
        sent = field.media_type
        if sent and self._media_types and not any(each.covers(sent) for each in self._media_types):
            names = " or ".join(each.name for each in self._media_types)
            raise unreadable(f"{self._subject} must be {names}", self._pointer)
        if self._is_file or (not self._types and sent and sent.type != "text" and not field.is_json):
            return field.content
        if self._is_json or (field.is_json and "string" not in self._types):
            try:
                value = strict_json.loads(field.content)
            except ValueError:
                if "string" not in self._types:
                    raise unreadable(f"{self._subject} must be valid JSON", self._pointer) from None
            else:
                if not self._is_text or isinstance(value, str) or (value is None and "null" in self._types):
                    return value
        return self._convert(_text(field, self._subject, self._pointer))


def fields_of(content: bytes, media_type: MediaType) -> Fields:
    """The fields of a form by name; raises BadRequest for what is no form of this media type."""
    if media_type.type != "multipart":
        pairs = pairs_of(content, "The request body", "fields", unreadable)
        return {
            name: [Field(unquote_plus(text).encode(), encoded=text) for text in texts]
            for name, texts in pairs.items()
        }
    by_name: dict[str, list[Field]] = {}
    for name, field in _parts(content, media_type):
        by_name.setdefault(name, []).append(field)
    return by_name


def _parts(content: bytes, media_type: MediaType) -> list[tuple[str, Field]]:
    """The parts of `multipart/form-data` (RFC 7578)."""
    boundary = media_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise unreadable(
            "The request body must be multipart/form-data with a boundary of 1 to 70 characters (RFC 2046)"
        )
    parts = _Parts()
    parser = MultipartParser(
        boundary.encode("ascii"),
        parts.callbacks(),
        max_header_count=MAX_PART_HEADERS,
        max_header_size=MAX_PART_HEADER_BYTES,
    )
    try:
        parser.write(content)
    except FormParserError:
        raise unreadable("The request body must be well-formed multipart/form-data (RFC 7578)") from None
    if not parts.has_ended:
        raise unreadable("The request body must end with the last boundary of multipart/form-data")
    return parts.fields


class _Parts:
    """Collects the parts that the parser finds."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, Field]] = []
        self.has_ended = False
        self._headers: dict[bytes, bytes] = {}
        self._content = bytearray()
        self._name = self._value = b""

    def callbacks(self) -> Any:
        return {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}

    def on_part_begin(self) -> None:
        if len(self.fields) >= MAX_PAIRS:
            raise unreadable(f"The request body must have {MAX_PAIRS} parts or less")
        self._headers = {}
        self._content = bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def on_part_end(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("utf-8", "replace")
        kind, semicolon, _ = disposition.partition(";")
        parameters = read_parameters(disposition, len(kind)) if semicolon else None
        if kind.strip().lower() != "form-data" or parameters is None or "name" not in parameters:
            raise unreadable("The request body must name each of its parts (RFC 7578, section 4.2)")
        content_type = self._headers.get(b"content-type", b"").decode("latin-1")
        field = Field(bytes(self._content), read_media_type(content_type))
        self.fields.append((parameters["name"], field))

    def on_end(self) -> None:
        self.has_ended = True


def _text(field: Field, subject: str, pointer: str) -> str:
    try:
        return field.content.decode("utf-8")
    except UnicodeDecodeError:
        raise unreadable(f"{subject} must be text in UTF-8", pointer) from None
