"""A contract's answers without a handler: its examples where they are valid, else values made from its schemas."""

import json
import re
from collections.abc import Iterator, Set
from functools import cache
from typing import Any, NamedTuple

from starlette.types import Scope

from openapi.bridge.answer_rules import is_left_out, visible_part
from openapi.bridge.answers import Answer
from openapi.bridge.contract import Contract
from openapi.bridge.document.operations import Operation
from openapi.bridge.document.places import Json, Place, schema_holder
from openapi.bridge.document.schemas import Schema
from openapi.bridge.media_types import accept_of, preferred, read_media_type
from openapi.bridge.mock.generate import NoExample, value_of
from openapi.bridge.mock.xml import write_xml

# What is sent where the contract names a range of media types.
_CONCRETE = {
    "*/*": "application/json",
    "application/*": "application/json",
    "audio/*": "audio/mpeg",
    "image/*": "image/png",
    "text/*": "text/plain",
    "video/*": "video/mp4",
}
# RFC 7240, section 2: of two with the same name the first counts.
_PREFERENCE = re.compile(r'(?:^|[,;])\s*(code|example)\s*=\s*(?:"([^"]*)"|([^",;\s]+))', re.IGNORECASE)


class Wish(NamedTuple):
    """What a client asks of the answer: the value of `Accept`, and a status and the name of an example (`Prefer`)."""

    accept: str = "*/*"
    code: int | None = None
    example: str | None = None


def wish_of(scope: Scope) -> Wish:
    """The wish in the headers of a request (RFC 7240 has `Prefer`)."""
    lines = b",".join(value for name, value in scope["headers"] if name == b"prefer")
    found = _PREFERENCE.findall(lines.decode("latin-1"))
    preferred = {name.lower(): quoted or token for name, quoted, token in reversed(found)}
    code = preferred.get("code", "")
    return Wish(
        accept_of(scope).decode("latin-1"),
        # An answer of 1xx would be no last one (RFC 9110, section 15.2).
        int(code) if re.fullmatch("[2-5][0-9]{2}", code, re.ASCII) else None,
        preferred.get("example"),
    )


class ExampleAnswers:
    """Makes answers of a contract's operations; the same request has the same answer.

    Args:
        added: the names of headers that are left to others, in small letters.
    """

    def __init__(self, contract: Contract, added: Set[str] = frozenset()) -> None:
        self._contract = contract
        self._added = added
        # The same pointer comes with every request.
        self._made = cache(self._make)

    def answer(self, operation: Operation, wish: Wish) -> Answer[Any]:
        """An answer that the contract allows; raises NoExample if none was found."""
        status = wish.code if wish.code and operation.response(wish.code) else operation.success
        response = operation.response(status)
        if response is None:
            return Answer(None, status=status)
        headers = dict(self._headers(response))
        if status in (204, 205, 304) or not response.node.get("content"):
            return Answer(None, headers, status)
        key, media_type = _chosen(response.node["content"], wish.accept)
        value = self._body(response / "content" / key, wish.example)
        read = read_media_type(media_type)
        if read is None or not read.is_json:
            schema = self._contract.answers.at(f"{(response / 'content' / key).pointer}/schema")
            value = _raw(value, media_type, schema)
        # Else null would be no body.
        return Answer(b"null" if value is None else value, headers, status, media_type)

    def _headers(self, response: Place) -> Iterator[tuple[str, str]]:
        for name in response.node.get("headers", {}):
            header = self._contract.follow(response / "headers" / name)
            if header.node.get("required") and not is_left_out(name, self._added):
                value = self._body(schema_holder(header), None)
                text = _text(value)
                content = read_media_type(next(iter(header.node.get("content", ())), ""))
                if content is not None and content.is_json:
                    text = json.dumps(value)
                elif header.node.get("explode", False) and isinstance(value, dict):
                    text = ",".join(f"{key}={_text(each)}" for key, each in value.items())
                # In a header the bytes of UTF-8 may stand, but nothing that ends it (RFC 9110, section 5.5).
                yield name, re.sub(r"[\x00-\x1f\x7f]+", " ", text).encode().decode("latin-1")

    def _body(self, holder: Place, example: str | None) -> Any:
        """The value of a media type or header."""
        examples = {
            name: self._contract.follow(holder / "examples" / name).node
            for name in holder.node.get("examples", {})
        }
        given = [examples[example]] if example in examples else []
        if "example" in holder.node:
            given.append({"value": holder.node["example"]})
        pointer = f"{holder.pointer}/schema"
        schema = self._contract.answers.at(pointer)
        for each in (*given, *examples.values()):
            if "value" in each and schema.is_valid(value := visible_part(each["value"], schema)):
                return value
        made = self._made(pointer)
        if not made:
            raise NoExample
        return made[0]

    def _make(self, pointer: str) -> list[Any]:
        """The value that is made by the schema at `pointer`; nothing where none can be, which is known once for all."""
        try:
            return [value_of(self._contract.answers.at(pointer))]
        except NoExample:
            return []


def _chosen(content: Json, accept: str) -> tuple[str, str]:
    """The key of `content` that a client wants most, JSON before others, and the media type that is sent for it."""

    def is_other(key: str) -> bool:
        return not ((media_type := read_media_type(key)) and media_type.is_json)

    key, media_type = preferred(sorted(content, key=is_other), accept)
    # A key may be no media type.
    name = media_type.name if media_type else "application/octet-stream"
    if "*" in name:
        return key, _CONCRETE.get(name, name.replace("*+", "").replace("*", "octet-stream"))
    return key, name if "*" in key or not media_type else key


def _text(value: Any) -> str:
    """A value as a header has it (OpenAPI 3.1, style `simple`)."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        return ",".join(_text(part) for pair in value.items() for part in pair)
    return value if isinstance(value, str) else json.dumps(value)


def _raw(value: Any, media_type: str, schema: Schema) -> bytes:
    """A value in a media type other than JSON."""
    if "xml" in media_type and not isinstance(value, str):
        return write_xml(value, schema)
    return (value if isinstance(value, str) else json.dumps(value)).encode()
