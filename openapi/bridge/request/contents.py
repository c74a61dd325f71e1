"""What the content of a body means, by its media type: JSON, a form, XML, text or bytes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from openapi.bridge.contract import MAX_BODY_BYTES, Contract
from openapi.bridge.document.places import Json, Place, copy_of
from openapi.bridge.document.schemas import CHOICES, LAID_OVER, Schema
from openapi.bridge.failures import BadRequest, unreadable
from openapi.bridge.media_types import MediaType
from openapi.bridge.request import strict_json
from openapi.bridge.request.coercion import coercion_of, ways
from openapi.bridge.request.forms import Form, fields_of
from openapi.bridge.request.sentences import BODY, SpeakingValidator
from openapi.bridge.request.xml import parse_xml, value_of

Reader = TypeVar("Reader")

_UTF_8 = ("utf-8", "utf8")
# The charsets that are named in practice; a codec of Python's may be anything, also slow or no charset at all.
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
}


def content_readers(contract: Contract, place: Place, media_range: MediaType) -> "dict[str, ContentReader]":
    """What reads a body that the media type object at `place` describes, by kind (`content_kind`).

    A range of media types is read by the kind of the one that is sent, unless its schema asks for bytes.
    """
    kinds = [content_kind(media_range)]
    if "*" in media_range[:2]:
        is_bytes = "schema" not in place.node or contract.requests.at(f"{place.pointer}/schema").is_binary
        kinds = ["bytes"] if is_bytes else [*_READERS]
    return {kind: _READERS[kind](contract, place) for kind in kinds}


def content_kind(media_type: MediaType) -> str:
    """The kind of content: `json`, `form`, `xml`, `text` or `bytes`."""
    if media_type.is_json:
        return "json"
    if media_type.name in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return "form"
    if media_type.subtype == "xml" or media_type.subtype.endswith("+xml"):
        return "xml"
    return "text" if media_type.type == "text" else "bytes"


class Defaults:
    """The defaults of a body or parameter: of the whole, and of an object's members by name, those of a branch where it
    is valid."""

    def __init__(self, schema: Schema) -> None:
        self._whole = next(iter(schema.defaults()), None)
        self._members: Json = {}
        self._branches: list[tuple[Schema, Defaults]] = []
        for layer in schema.layers(LAID_OVER):
            for name, member in layer.children("properties").items():
                # What no request may have is for the service to set.
                if not member.is_marked("readOnly", LAID_OVER):
                    for default in member.defaults()[:1]:
                        self._members.setdefault(name, default)
            for branch in layer.applied(CHOICES):
                if (further := _defaults_of(branch)).has_members:
                    self._branches.append((branch, further))
        self.has_members: bool = bool(self._members or self._branches)
        """Whether a member may have one."""

    def of_nothing(self) -> Any:
        """What stands for what is not sent."""
        return self.fill(copy_of(self._whole))

    def fill(self, value: Any) -> Any:
        """`value` with the members that are not in it."""
        if self.has_members and isinstance(value, dict):
            return {**self._of(_as_text(value)), **value}
        return value

    def _of(self, value: Json) -> Json:
        members: Json = copy_of(self._members)
        for branch, further in self._branches:
            if branch.is_valid(value):
                members = {**further._of(value), **members}
        return members


# Many ways may lead to one branch.
_defaults_of = lru_cache(4096)(Defaults)


class ContentReader(ABC):
    """Reads the content of a body of one kind of media type.

    Attributes:
        charsets: those that are taken, None where a charset has no meaning.
        takes_empty: whether no bytes are a value too, where a media type is named.
    """

    charsets: tuple[str, ...] | None = _UTF_8
    takes_empty = True

    def __init__(self, contract: Contract, media_type: Place) -> None:
        pointer = f"{media_type.pointer}/schema"
        self._schema = contract.requests.at(pointer)
        self._validator = SpeakingValidator(contract, pointer)
        self._types = self._schema.types()
        self._fill = Defaults(self._schema).fill

    @abstractmethod
    def read(self, content: bytes, media_type: MediaType) -> Any:
        """The valid value; raises BadRequest for content that has no valid value."""

    def _check(self, value: Any) -> None:
        if not self._validator.is_valid(value):
            raise self._validator.refusal(value)

    def _read_by(self, readers: Sequence[Reader], size: int, read: Callable[[Reader], Any]) -> Any:
        """What the first of several reads that reads what is valid; if none does, the first one's is refused.

        By the others no more bytes are read than one body may have.
        """
        for reader in readers[: 1 + MAX_BODY_BYTES // max(size, 1)]:
            with suppress(BadRequest):
                if self._validator.is_valid(_as_text(value := read(reader))):
                    return value
        raise self._validator.refusal(_as_text(read(readers[0])))


class _Json(ContentReader):
    takes_empty = False

    def read(self, content: bytes, _media_type: MediaType) -> Any:
        try:
            read = strict_json.loads if strict_json.other_number(content) else strict_json.parse
            value = read(content)
        except ValueError as error:
            raise unreadable(strict_json.reason(error)) from None
        self._check(value)
        return self._fill(value)


class _Form(ContentReader):
    """The object that a form's fields are the members of; the members that are files are bytes."""

    def __init__(self, contract: Contract, media_type: Place) -> None:
        super().__init__(contract, media_type)
        encoding = media_type.node.get("encoding", {})
        self._forms = [Form(way, encoding) for way in (self._schema, *ways(self._schema))]

    def read(self, content: bytes, media_type: MediaType) -> Any:
        fields = fields_of(content, media_type)
        return self._fill(self._read_by(self._forms, len(content), lambda form: form.read(fields)))


class _Text(ContentReader):
    charsets = tuple(_CODECS)

    def read(self, content: bytes, media_type: MediaType) -> Any:
        try:
            text = content.decode(_CODECS[media_type.charset])
        except UnicodeDecodeError:
            raise unreadable(f"{BODY} must be text in the charset that it names, or in UTF-8") from None
        # OpenAPI does not say how an array or an object would be written as text.
        if self._types & {"array", "object"}:
            return text
        value = coercion_of(self._schema).convert(text)
        self._check(value)
        return value


class _Bytes(ContentReader):
    charsets = None

    def read(self, content: bytes, _media_type: MediaType) -> Any:
        if self._types <= {"string", "null"}:
            self._check(_as_text(content))
        return content


class _Xml(_Bytes):
    """The value that the schema sees in the elements; where it asks for a string or for nothing, XML is bytes."""

    takes_empty = False

    def __init__(self, contract: Contract, media_type: Place) -> None:
        super().__init__(contract, media_type)
        self._ways = [self._schema, *ways(self._schema)]

    def read(self, content: bytes, media_type: MediaType) -> Any:
        if self._types <= {"string", "null"} and not self._schema.members():
            return super().read(content, media_type)
        # It names its charset itself.
        root = parse_xml(content)
        return self._fill(self._read_by(self._ways, len(content), lambda way: value_of(root, way)))


_READERS: dict[str, type[ContentReader]] = {
    "json": _Json,
    "form": _Form,
    "xml": _Xml,
    "text": _Text,
    "bytes": _Bytes,
}


def _as_text(value: Any) -> Any:
    """The value with a string for bytes, of a character for each byte, as a schema sees a file."""
    if isinstance(value, dict):
        return {name: _as_text(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value
